/**
 * A process that uses the runtime as an agent does, to be killed. Started with an IPC channel; arguments: node name, directory, root file
 * system, number of containers, script. Reports `{ sandbox, ids }` once all run, and each id as it is started.
 */
import { join } from 'node:path';
import { silentLogger, systemClock } from '@dure/foundation';
import { openNativeRuntime } from '../native-runtime.ts';

async function main([nodeName = '', directory = '', rootfs = '', count = '1', script = '']: readonly string[]): Promise<void> {
  const runtime = await openNativeRuntime({
    nodeName,
    runDir: join(directory, 'run'),
    stateDir: join(directory, 'state'),
    network: { attach: async () => ({ ips: [] }), detach: async () => undefined },
    clock: systemClock,
    log: silentLogger,
  });
  process.send?.({ opened: true });
  const sandbox = await runtime.runSandbox({
    metadata: { name: 'survivor', namespace: 'default', uid: `agent-${process.pid}`, attempt: 0 },
    hostname: 'survivor',
    logDirectory: join(directory, 'logs', `${process.pid}`),
    labels: {},
    annotations: {},
    cgroupParent: `kubepods/podagent-${process.pid}`,
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
    sysctls: {},
  });
  const ids: string[] = [];
  for (let index = 0; index < Number(count); index += 1) {
    const id = await runtime.createContainer(sandbox.id, {
      metadata: { name: `c${index}`, attempt: 0 },
      labels: {},
      annotations: {},
      image: 'busybox',
      rootfs: { kind: 'layers', lowerDirs: [rootfs] },
      command: ['sh', '-c', script],
      env: ['PATH=/bin'],
      workingDir: '/',
      mounts: [],
      devices: [],
      security: {
        uid: 0,
        gid: 0,
        supplementalGroups: [],
        capabilities: { add: [], drop: [] },
        privileged: false,
        noNewPrivileges: true,
        readOnlyRoot: false,
        seccomp: { kind: 'default' },
        maskedPaths: [],
        readonlyPaths: [],
      },
      resources: {},
      logPath: `c${index}/0.log`,
      stdin: false,
      stdinOnce: false,
      tty: false,
      stopSignal: 'SIGTERM',
      pid: 'container',
    });
    ids.push(id);
    await runtime.startContainer(id);
    process.send?.({ started: id });
  }
  process.send?.({ sandbox: sandbox.id, ids });
  await new Promise(() => setInterval(() => undefined, 60_000));
}

await main(process.argv.slice(2));
