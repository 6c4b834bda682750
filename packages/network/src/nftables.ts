import { spawn } from 'node:child_process';

/** `nft` refused a transaction, or is not installed (`cause` has code ENOENT). Nothing of it was applied. */
export class NftablesError extends Error {
  override readonly name = 'NftablesError';
  readonly code = 'NETWORK_NFTABLES';
}

/** nft answers in milliseconds; this long means that it never will. */
const DEADLINE_MS = 10_000;
const OUTPUT_BYTES_MAX = 8_192;

/** Applies `script` as one transaction in the process's own network namespace. @throws {NftablesError} */
export function applyNftables(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'], timeout: DEADLINE_MS });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (complaint.length < OUTPUT_BYTES_MAX) complaint += chunk;
    });
    // nft may end before it has read everything; its exit code tells.
    child.stdin.on('error', () => {});
    child.once('error', (cause) => reject(new NftablesError('run nft: the program cannot be started', { cause })));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new NftablesError(`run nft: ${signal ?? `exit code ${code}`}: ${complaint.trim()}`));
    });
    child.stdin.end(script);
  });
}
