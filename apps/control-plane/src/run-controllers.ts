import type { ApiServer } from '@dure/apiserver';
import type { Clock, Logger, Random } from '@dure/foundation';
import { aborted } from '@dure/foundation';
import type { ClusterPki } from './cluster-pki.ts';
import type { Config } from './config.ts';

export interface ControllersDeps {
  readonly server: ApiServer;
  readonly config: Config;
  readonly pki: ClusterPki;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export async function runControllers(_deps: ControllersDeps, signal: AbortSignal): Promise<void> {
  await aborted(signal);
}
