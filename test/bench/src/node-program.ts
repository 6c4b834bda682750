import { fileURLToPath } from 'node:url';
import { trialSetting } from './trial-settings.ts';

/** How `dure up` starts our processes, so that what is measured is what runs. @see apps/cli/src/up/cluster-plan.ts */
const PRODUCT_FLAGS = ['--max-semi-space-size=2', '--optimize-for-size'];
export const CONTROL_PLANE_FLAGS = ['--max-semi-space-size=4'];

/** The flags that programs of ours are measured with: those of the product, or for trying others the ones in `DURE_BENCH_NODE_FLAGS`. */
export function nodeFlags(product: readonly string[] = PRODUCT_FLAGS): readonly string[] {
  return (
    trialSetting('DURE_BENCH_NODE_FLAGS')
      ?.split(' ')
      .filter((flag) => flag !== '') ?? product
  );
}

/** argv that runs a program of this directory from its sources, as this process was. */
export function nodeProgram(name: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, ...nodeFlags(), ...process.execArgv, fileURLToPath(new URL(name, import.meta.url)), ...args];
}
