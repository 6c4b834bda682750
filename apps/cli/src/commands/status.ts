import { nodes, pods } from '@dure/api';
import { messageOf } from '@dure/foundation';
import { connect } from '../cluster-client.ts';
import { kubeconfigPath } from '../up/cluster-plan.ts';
import { readState } from '../up/cluster-state.ts';
import { isAlive } from '../up/process-identity.ts';

/** Prints what runs on this machine and what the cluster says of itself. Gives the exit code: 0 when all is well, 1 when something is not, 3 when nothing runs. */
export async function status(dataDir: string, write: (line: string) => void): Promise<number> {
  const state = readState(dataDir);
  if (state === undefined) {
    write(`nothing runs from ${dataDir}`);
    return 3;
  }
  write(`supervisor  ${isAlive(state.supervisor) ? `running (process ${state.supervisor.pid})` : 'stopped'}`);
  const processes = Object.entries(state.processes);
  for (const [name, identity] of processes)
    write(`${name.padEnd(11)} ${isAlive(identity) ? `running (process ${identity.pid})` : 'stopped'}`);
  write(`kubeconfig  ${kubeconfigPath(dataDir)}`);
  const allRun = isAlive(state.supervisor) && processes.length > 0 && processes.every(([, identity]) => isAlive(identity));
  try {
    await using connection = await connect(kubeconfigPath(dataDir));
    const [nodeList, podList] = await Promise.all([connection.client.list(nodes), connection.client.list(pods)]);
    write(`API server  ${connection.server}`);
    for (const node of nodeList.items) {
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
      const running = podList.items.filter(
        ({ spec, status: is }) => spec?.nodeName === node.metadata.name && is?.phase === 'Running',
      ).length;
      write(
        `node        ${node.metadata.name}: ${ready?.status === 'True' ? 'Ready' : `NotReady (${ready?.reason ?? 'unknown'})`}, ${running} Pods running`,
      );
    }
    return allRun ? 0 : 1;
  } catch (error) {
    write(`API server  does not answer: ${messageOf(error)}`);
    return 1;
  }
}
