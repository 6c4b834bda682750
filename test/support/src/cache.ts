import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where downloads and built images are kept between runs and checkouts: `DURE_TEST_CACHE`, or in the user's cache. Safe to delete when no test runs. */
export function cacheDirectory(): string {
  return process.env.DURE_TEST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'dure-tests');
}

/** A short name for what `facts` say; other facts, other name. */
export function cacheKey(facts: unknown): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 24);
}

/**
 * The directory `path`, made by `make` in a place of its own and then moved there as a whole, unless it exists.
 * Two processes may do the same at once; one result stays.
 */
export async function cachedDirectory(path: string, make: (directory: string) => Promise<void>): Promise<string> {
  if (await exists(path)) return path;
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await mkdir(temporary, { recursive: true });
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    // Somebody else was faster; a rename onto a directory with content fails.
    if (!(await exists(path))) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return path;
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
