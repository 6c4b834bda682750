import type { BlobStore, PartialBlob } from './blob-store.ts';
import type { RegistryCredentials } from './contract.ts';
import { DigestMismatchError } from './errors.ts';
import type { Descriptor } from './manifest.ts';
import type { RegistryClient } from './registry-client.ts';
import { RegistryFault } from './registry-fault.ts';
import type { Endpoint } from './registry-hosts.ts';
import { type RetryDeps, retrying } from './retry.ts';

export interface BlobDownload {
  readonly descriptor: Descriptor;
  readonly repository: string;
  readonly endpoint: Endpoint;
  readonly credentials: RegistryCredentials | undefined;
  /** Told how many bytes are here, after each chunk. May go back when a registry makes us begin anew. */
  readonly onBytes: (bytesHere: number) => void;
}

export interface BlobDownloadDeps extends RetryDeps {
  readonly blobs: BlobStore;
  readonly client: RegistryClient;
}

/** A try that brought this much was no failure of the same thing again: a large layer over a bad line gets there. */
const PROGRESS_BYTES = 256 * 1024;
/** Less than this in a minute is as good as silence; an idle timeout alone would let a registry drip for ever. */
const SLOWEST = { bytes: 16 * 1024, perMs: 60_000 };

/**
 * Brings one blob into the store, going on from what an earlier try, or an earlier process, left. Nothing is done if it is here.
 * @throws {RegistryFault} @throws {DigestMismatchError}
 */
export async function downloadBlob(download: BlobDownload, deps: BlobDownloadDeps, signal: AbortSignal): Promise<void> {
  const { descriptor, onBytes } = download;
  if ((await deps.blobs.size(descriptor.digest)) === descriptor.sizeBytes) {
    onBytes(descriptor.sizeBytes);
    return;
  }
  const partial = await deps.blobs.resume(descriptor.digest);
  try {
    // What an earlier process left may have been damaged by a power cut; what this one received may not be.
    const inherited = partial.sizeBytes > 0;
    try {
      await fetchAndVerify(partial, download, deps, signal);
    } catch (error) {
      if (!inherited || !(error instanceof DigestMismatchError)) throw error;
      await fetchAndVerify(partial, download, deps, signal);
    }
  } finally {
    await partial.close();
  }
}

async function fetchAndVerify(partial: PartialBlob, download: BlobDownload, deps: BlobDownloadDeps, signal: AbortSignal): Promise<void> {
  if (partial.sizeBytes > download.descriptor.sizeBytes) await partial.restart();
  await retrying(
    async (progressed) => {
      const before = partial.sizeBytes;
      try {
        await fetchRest(partial, download, deps, signal);
      } finally {
        if (partial.sizeBytes - before >= PROGRESS_BYTES) progressed();
      }
    },
    deps,
    signal,
  );
  await partial.complete();
}

async function fetchRest(
  partial: PartialBlob,
  download: BlobDownload,
  { client, clock }: BlobDownloadDeps,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor, repository, endpoint, credentials, onBytes } = download;
  const { digest, sizeBytes } = descriptor;
  onBytes(partial.sizeBytes);
  if (partial.sizeBytes === sizeBytes) return;
  const offset = partial.sizeBytes;
  const what = `get blob ${digest} of ${repository} from ${endpoint.host}`;
  const { status, header, body } = await client.get({
    endpoint,
    repository,
    path: `blobs/${digest}`,
    // Without this a proxy on the way might compress, and offsets would mean nothing.
    headers: { 'accept-encoding': 'identity', ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
    credentials,
    signal,
  });
  const continues = status === 206 && rangeStart(header('content-range')) === offset;
  if (status === 206 && !continues) throw new RegistryFault('refused', `${what}: it answered with another range than asked for`);
  // Not all storage knows ranges; then the whole blob comes again.
  if (!continues && offset > 0) await partial.restart();
  let window = { sinceMs: clock.monotonicMs(), bytes: 0 };
  for await (const chunk of body) {
    if (partial.sizeBytes + chunk.length > sizeBytes) {
      await partial.restart();
      throw new RegistryFault('refused', `${what}: it is longer than the ${sizeBytes} bytes of its manifest`);
    }
    await partial.append(chunk);
    onBytes(partial.sizeBytes);
    window.bytes += chunk.length;
    const nowMs = clock.monotonicMs();
    if (nowMs - window.sinceMs < SLOWEST.perMs) continue;
    if (window.bytes < SLOWEST.bytes) throw new RegistryFault('broken', `${what}: it sent only ${window.bytes} bytes in a minute`);
    window = { sinceMs: nowMs, bytes: 0 };
  }
  if (partial.sizeBytes < sizeBytes)
    throw new RegistryFault('broken', `${what}: it ended after ${partial.sizeBytes} of ${sizeBytes} bytes`);
}

function rangeStart(contentRange: string | undefined): number | undefined {
  const start = /^bytes (\d+)-\d+\//.exec(contentRange ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}
