import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Where `dure-run` lies: beside the bundle in a release, in the runtime's build directory in a checkout.
 * @param built Where the runtime's own sources think it is; wrong once they are bundled.
 */
export function nativeProgram(built: string): string {
  const main = process.argv[1] ?? '';
  const candidates = [join(dirname(main), 'dure-run'), join(dirname(main), '../../../packages/runtime/build/dure-run'), built];
  return candidates.find((path) => existsSync(path)) ?? built;
}
