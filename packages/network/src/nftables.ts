import { spawn } from 'node:child_process';

/** `nft` refused a transaction, or is not installed (`cause` has code ENOENT). Nothing of it was applied. */
export class NftablesError extends Error {
  override readonly name = 'NftablesError';
  readonly code = 'NETWORK_NFTABLES';
}

/** nft answers in milliseconds; this long means that it never will. */
const DEADLINE_MS = 10_000;
const OUTPUT_BYTES_MAX = 4 << 20;
const COMPLAINT_BYTES_MAX = 8_192;

/** Applies `script` as one transaction in the process's own network namespace. @throws {NftablesError} */
export async function applyNftables(script: string): Promise<void> {
  await runNft(['-f', '-'], script);
}

/** Base chains of any table that drop what is forwarded unless a rule of theirs accepts it, as `family table chain`. An `accept` elsewhere does not help against them. @throws {NftablesError} */
export async function droppingForwardChains(): Promise<string[]> {
  return parseDroppingChains(await runNft(['-j', 'list', 'chains'], ''));
}

/** Pure. @param json What `nft -j list chains` prints. */
export function parseDroppingChains(json: string): string[] {
  const { nftables } = JSON.parse(json) as {
    nftables: { chain?: { family: string; table: string; name: string; hook?: string; policy?: string } }[];
  };
  return nftables.flatMap(({ chain }) => {
    const isOnPath = chain?.hook === 'forward' && (chain.family === 'ip' || chain.family === 'inet');
    return isOnPath && chain.policy === 'drop' ? [`${chain.family} ${chain.table} ${chain.name}`] : [];
  });
}

function runNft(argv: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', argv, { stdio: ['pipe', 'pipe', 'pipe'], timeout: DEADLINE_MS });
    let output = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (output.length < OUTPUT_BYTES_MAX) output += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (complaint.length < COMPLAINT_BYTES_MAX) complaint += chunk;
    });
    // nft may end before it has read everything; its exit code tells.
    child.stdin.on('error', () => {});
    child.once('error', (cause) => reject(new NftablesError('run nft: the program cannot be started', { cause })));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new NftablesError(`run nft: ${signal ?? `exit code ${code}`}: ${complaint.trim()}`));
    });
    child.stdin.end(input);
  });
}
