import { readFile } from 'node:fs/promises';
import { ConfigFileError } from '@dure/apiserver';
import { type Clock, type Logger, messageOf } from '@dure/foundation';

/** Files are replaced by renames and links as often as they are written; looking at them finds every sort of change. */
const LOOK_EVERY_MS = 5_000;

/** A configuration file that takes effect whenever its text changes. */
export interface FollowedFile {
  readonly path: string;
  /** Puts the text into effect. @throws It cannot be used; then nothing may have changed. */
  apply(text: string): void | Promise<void>;
}

/** Applies the files as they are now. @throws {ConfigFileError} What is wrong with the first that cannot be used. */
export async function applyFiles(files: readonly FollowedFile[]): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const { path, apply } of files) {
    try {
      const text = await readFile(path, 'utf8');
      await apply(text);
      texts.set(path, text);
    } catch (error) {
      throw new ConfigFileError(path, [messageOf(error)]);
    }
  }
  return texts;
}

/** Applies each file again when its text is another than before, until `signal` aborts. What cannot be used is told once, and what was stays. */
export async function followFiles(
  files: readonly FollowedFile[],
  known: ReadonlyMap<string, string>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const texts = new Map(known);
  while (files.length > 0 && !signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    for (const { path, apply } of files) {
      try {
        const text = await readFile(path, 'utf8');
        if (text === texts.get(path)) continue;
        texts.set(path, text);
        await apply(text);
        log.info('configuration file was read again', { path });
      } catch (error) {
        log.error('configuration file cannot be used; what was before stays', { path, why: messageOf(error) });
      }
    }
  }
}
