import type { Clock } from '@dure/foundation';
import { CLUSTER, nodeDataDir, tearDownCommand } from './cluster-plan.ts';
import { type ClusterState, readState, removeState } from './cluster-state.ts';
import { endProcesses } from './end-processes.ts';
import { leftovers } from './leftovers.ts';
import type { Progress } from './progress.ts';
import { CommandFailedError, runCommand, runCommands } from './run-command.ts';
import { mountPoints, planRemoveRunDirectory } from './run-directory.ts';
import { BRIDGE_ADDRESS, planRemoveBridge, planRemoveVirtualNode } from './virtual-node.ts';

/** Something that Dure made is still there. */
export class LeftoversError extends Error {
  override readonly name = 'LeftoversError';
  readonly code = 'DOWN_LEFTOVERS';

  constructor(found: readonly string[]) {
    super(`still on this machine after dure down:\n  ${found.join('\n  ')}`);
  }
}

/**
 * Ends everything that `up` started from `dataDir`, Pods included, and removes what it made on the machine. The data itself stays.
 * @throws {LeftoversError} Something could not be removed.
 */
export async function down(dataDir: string, { clock, progress }: { readonly clock: Clock; readonly progress: Progress }): Promise<void> {
  const state = readState(dataDir);
  if (state === undefined) {
    progress.say(`nothing runs from ${dataDir}`);
    return;
  }
  await progress.step('stopping the control plane and the agents', () =>
    endProcesses([state.supervisor, ...Object.values(state.processes)], clock),
  );
  // A supervisor that was killed meanwhile may have left a process that the first look did not know.
  const last = readState(dataDir) ?? state;
  await endProcesses(Object.values(last.processes), clock);
  await progress.step('ending Pods and removing what they used', () => tearDownNodes(dataDir, state, progress));
  await removeLinks(state);
  await runCommands(planRemoveRunDirectory(mountPoints()));
  const found = await leftovers(state.nodes.map(({ name }) => name));
  if (found.length > 0) throw new LeftoversError(found);
  removeState(dataDir);
  progress.say(`down: no process, link, route, mount, cgroup or namespace of Dure is left on this machine; data stays in ${dataDir}`);
}

async function tearDownNodes(dataDir: string, { nodes }: ClusterState, progress: Progress): Promise<void> {
  for (const node of nodes) {
    try {
      await runCommand({ argv: tearDownCommand(dataDir, node) });
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      // What one node could not give back must not keep the others from trying; the check at the end finds it.
      progress.say(`${node.name} (${nodeDataDir(dataDir, node.name)}): ${error.message}`);
    }
  }
}

async function removeLinks({ nodes }: ClusterState): Promise<void> {
  for (const [index, { name, virtual }] of nodes.entries()) {
    if (virtual) await runCommands(planRemoveVirtualNode(name, index + 1));
  }
  const bridged = nodes.some(({ virtual, address }) => virtual || address === BRIDGE_ADDRESS);
  if (bridged) await runCommands(planRemoveBridge(CLUSTER));
}
