import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Says to others on this machine that this process serves: a file that holds its process number. */
export interface ServingMark {
  /** DNS listens. */
  listening(): void;
  /** There is a table to serve. */
  informed(): void;
}

/** Takes a former process's mark away at once; writes ours when both conditions hold. */
export function servingMark(path: string, pid = process.pid): ServingMark {
  let isListening = false;
  let isInformed = false;
  let isWritten = false;
  rmSync(path, { force: true });
  const write = (): void => {
    if (isWritten || !isListening || !isInformed) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, `${pid}\n`);
    renameSync(`${path}.new`, path);
    isWritten = true;
  };
  return {
    listening() {
      isListening = true;
      write();
    },
    informed() {
      isInformed = true;
      write();
    },
  };
}
