import { type BlobDownloadDeps, downloadBlob } from './blob-download.ts';
import type { RegistryCredentials } from './contract.ts';
import { type Digest, digestOf, isDigest, splitDigest } from './digest.ts';
import { DigestMismatchError } from './errors.ts';
import { type Descriptor, DOCUMENT_BYTES_MAX, MANIFEST_MEDIA_TYPES } from './manifest.ts';
import type { ImageReference } from './reference.ts';
import { readAtMost } from './registry-client.ts';
import { RegistryFault } from './registry-fault.ts';
import type { Endpoint, RegistryHosts } from './registry-hosts.ts';
import { retrying } from './retry.ts';

/** One way to ask: a place and who we say we are. */
interface Source {
  readonly endpoint: Endpoint;
  readonly credentials: RegistryCredentials | undefined;
}

/** A document and the digest that its bytes have. */
export interface FetchedDocument {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

export interface RegistrySessionDeps extends BlobDownloadDeps {
  readonly hosts: RegistryHosts;
}

/**
 * The registry side of one pull: tries mirrors before the registry, and credentials in order, and stays with what worked first.
 * @throws {RegistryFault} from every method: the last way's.
 */
export class RegistrySession {
  readonly #reference: ImageReference;
  readonly #deps: RegistrySessionDeps;
  /** Best first. */
  #sources: readonly Source[];

  constructor(reference: ImageReference, credentials: readonly RegistryCredentials[], deps: RegistrySessionDeps) {
    this.#reference = reference;
    this.#deps = deps;
    // A mirror is somebody else: the registry's credentials are not for it.
    this.#sources = deps.hosts.endpointsOf(reference.registry).flatMap((endpoint): Source[] => {
      if (endpoint.isMirror || credentials.length === 0) return [{ endpoint, credentials: undefined }];
      return credentials.map((given) => ({ endpoint, credentials: given }));
    });
  }

  /** @param tagOrDigest What to ask for; a digest is verified. @throws {DigestMismatchError} */
  manifest(tagOrDigest: string, signal: AbortSignal): Promise<FetchedDocument> {
    return this.#fromFirst(signal, async ({ endpoint, credentials }) => {
      const { client } = this.#deps;
      const repository = this.#reference.path;
      const bytes = await retrying(
        async () => {
          const request = { endpoint, repository, path: `manifests/${tagOrDigest}`, headers: { accept: MANIFEST_MEDIA_TYPES.join(', ') } };
          const { body } = await client.get({ ...request, credentials, signal });
          return readAtMost(body, DOCUMENT_BYTES_MAX, `get manifest ${tagOrDigest} from ${endpoint.host}`);
        },
        this.#deps,
        signal,
      );
      const wanted = isDigest(tagOrDigest) ? tagOrDigest : undefined;
      const digest = digestOf(bytes, wanted === undefined ? 'sha256' : splitDigest(wanted).algorithm);
      if (wanted !== undefined && digest !== wanted) throw new DigestMismatchError(`manifest from ${endpoint.host}`, wanted, digest);
      return { digest, bytes };
    });
  }

  /** Brings a blob into the store. @throws {DigestMismatchError} */
  blob(descriptor: Descriptor, onBytes: (bytesHere: number) => void, signal: AbortSignal): Promise<void> {
    const repository = this.#reference.path;
    return this.#fromFirst(signal, ({ endpoint, credentials }) =>
      downloadBlob({ descriptor, repository, endpoint, credentials, onBytes }, this.#deps, signal),
    );
  }

  async #fromFirst<T>(signal: AbortSignal, ask: (source: Source) => Promise<T>): Promise<T> {
    let failure: unknown = new RegistryFault('refused', `no way to ask ${this.#reference.registry} is configured`);
    const done = new Set<Endpoint>();
    for (const source of this.#sources) {
      if (done.has(source.endpoint)) continue;
      try {
        const result = await ask(source);
        if (this.#sources[0] !== source) this.#sources = [source, ...this.#sources.filter((other) => other !== source)];
        return result;
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
        // Other credentials help against a refusal only, not against silence or a missing image.
        if (!(error instanceof RegistryFault) || error.kind !== 'unauthorized') done.add(source.endpoint);
      }
    }
    throw failure;
  }
}
