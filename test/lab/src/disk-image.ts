import { runCommand } from '@dure/test-support';

/** A read-only ext4 image of a directory: how the project's build reaches a machine. */
export async function directoryDisk(directory: string, file: string, sizeMiB: number): Promise<void> {
  await runCommand('mke2fs', ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', directory, file, `${sizeMiB}M`]);
}

/** An empty disk with a journal, which survives the machine's crashes. */
export async function emptyDisk(file: string, sizeMiB: number): Promise<void> {
  await runCommand('truncate', ['-s', `${sizeMiB}M`, file]);
  await runCommand('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1', file]);
}
