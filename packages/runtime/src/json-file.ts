import { readFile, rename, writeFile } from 'node:fs/promises';
import { errnoCode } from '@dure/foundation';

/**
 * Whole or not at all: written beside, renamed, with a newline at the end. Never forced to disk, since it describes what a reboot ends.
 * Readable by root alone: environments hold Secrets.
 */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The value of a file that is whole; `undefined` when it is absent or cut short. The caller knows who wrote it. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    return text.endsWith('\n') ? (JSON.parse(text) as T) : undefined;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
