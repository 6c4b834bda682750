import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Logger, Random } from '@dure/foundation';
import { systemMounter } from '@dure/kubelet';
import { openNodeNetwork } from '@dure/network';
import { builtBinary, openNativeRuntime } from '@dure/runtime';
import type { Config } from './config.ts';
import { readText } from './identity-files.ts';
import { nativeProgram } from './native-program.ts';

/** Ends all Pods and removes everything this node ever made on the machine, but for its data directory's certificates and images. */
export async function tearDown(
  config: Config,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<void> {
  const { nodeName, dataDir, runDir, clusterCIDRs, serviceCIDRs } = config;
  const { log } = deps;
  const stored = await readText(join(dataDir, 'pod-cidrs.json'));
  const podCIDRs = stored === undefined ? undefined : (JSON.parse(stored) as readonly string[]);
  const network =
    podCIDRs === undefined ? undefined : openNodeNetwork({ config: { nodeName, runDir, podCIDRs, clusterCIDRs, serviceCIDRs }, log });
  const runtime = await openNativeRuntime({
    ...deps,
    nodeName,
    runDir,
    stateDir: join(dataDir, 'containers'),
    network: {
      attach: async () => ({ ips: [] }),
      detach: async (sandbox) => {
        await network?.detach(sandbox);
      },
    },
    binary: nativeProgram(builtBinary),
  });
  await runtime.tearDown();
  for (const root of [join(runDir, 'volumes'), join(dataDir, 'pods')]) {
    for (const point of await systemMounter.mountsBelow(root)) await systemMounter.unmount(point);
    // What is still mounted is not ours to delete through.
    if ((await systemMounter.mountsBelow(root)).length === 0) await rm(root, { recursive: true, force: true });
  }
  await network?.tearDown();
  await network?.[Symbol.asyncDispose]();
  await rm(join(dataDir, 'logs'), { recursive: true, force: true });
  await rm(join(dataDir, 'pod-cidrs.json'), { force: true });
  await rm(join(runDir, 'agent.sock'), { force: true });
  log.info('node taken down', { node: nodeName });
}
