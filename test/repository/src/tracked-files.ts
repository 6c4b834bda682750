import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** Paths, relative to the root, of what git tracks and of new files it would take. */
export function trackedFiles(...patterns: string[]): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...patterns], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  return listed.split('\n').filter((path) => path !== '' && textOf(path) !== undefined);
}

/** The text of a tracked file; `undefined` where it has been deleted from the working tree or is not text. */
export function textOf(path: string): string | undefined {
  try {
    const bytes = readFileSync(`${repositoryRoot}/${path}`);
    return bytes.includes(0) ? undefined : bytes.toString('utf8');
  } catch {
    return undefined;
  }
}
