/** Images in CRI's words: pulled, verified, unpacked into directories that a runtime stacks. */

/** The runtime-relevant part of an OCI image configuration. @see https://github.com/opencontainers/image-spec/blob/main/config.md */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  /** `user`, `uid`, `user:group`, `uid:gid` or ''. */
  readonly user: string;
  readonly stopSignal?: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface ImageStatus {
  /** `sha256:...` of the configuration. */
  readonly id: string;
  /** `repo:tag` names, fully qualified. */
  readonly tags: readonly string[];
  /** `repo@sha256:...` names. */
  readonly digests: readonly string[];
  /** Compressed layers plus configuration, as the manifest says. */
  readonly sizeBytes: number;
  readonly config: ImageConfig;
  readonly architecture: string;
  /** Unpacked layers, topmost first, ready to be lower directories of an overlay. */
  readonly lowerDirs: readonly string[];
}

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export interface PullProgress {
  readonly layersDone: number;
  readonly layersTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface PullOptions {
  /** Tried in order; none: anonymous. */
  readonly credentials?: readonly RegistryCredentials[];
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImageService extends AsyncDisposable {
  /**
   * Brings the image here, or finds it here already. Concurrent pulls of one reference share the work; an interrupted one resumes.
   * @throws {InvalidImageNameError} @throws {RegistryUnauthorizedError} @throws {ImageNotFoundError} @throws {PullError}
   */
  pull(reference: string, options?: PullOptions): Promise<ImageStatus>;
  /** By tag, digest or id. Opens no connection. */
  status(reference: string): Promise<ImageStatus | undefined>;
  list(): Promise<readonly ImageStatus[]>;
  /** Forgets a name; an image without names loses its layers unless another image shares them. */
  remove(reference: string): Promise<void>;
  /** Takes in an OCI layout or `docker save` archive, plain or gzip. Gives the images' names. */
  importArchive(path: string, signal?: AbortSignal): Promise<readonly string[]>;
  /** Bytes and inodes that the images take. */
  usage(): Promise<{ readonly bytes: number; readonly inodes: number }>;
}
