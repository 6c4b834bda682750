/** The text is no image reference. At kubelet: `InvalidImageName`. */
export class InvalidImageNameError extends Error {
  override readonly name = 'InvalidImageNameError';
  readonly code = 'IMAGE_NAME_INVALID';
  readonly reference: string;

  constructor(reference: string, why: string) {
    super(`parse image reference ${JSON.stringify(reference.slice(0, 300))}: ${why}`);
    this.reference = reference;
  }
}

/** The registry answered that it has no such image (or no such tag or digest of it). */
export class ImageNotFoundError extends Error {
  override readonly name = 'ImageNotFoundError';
  readonly code = 'IMAGE_NOT_FOUND';
  readonly reference: string;

  constructor(reference: string, options: { readonly registry: string; readonly cause?: unknown }) {
    super(`pull ${reference}: registry ${options.registry} has no such image, tag or digest`, { cause: options.cause });
    this.reference = reference;
  }
}

/** The registry wants credentials, or refuses those it got. Many registries also answer so for a repository that does not exist. */
export class RegistryUnauthorizedError extends Error {
  override readonly name = 'RegistryUnauthorizedError';
  readonly code = 'REGISTRY_UNAUTHORIZED';
  readonly registry: string;

  constructor(reference: string, options: { readonly registry: string; readonly cause?: unknown }) {
    super(`pull ${reference}: registry ${options.registry} refused access: the repository may not exist, or needs other credentials`, {
      cause: options.cause,
    });
    this.registry = options.registry;
  }
}

/** Anything else that kept an image from arriving: network, registry faults, wrong content, a full disk. `cause` says what. */
export class PullError extends Error {
  override readonly name = 'PullError';
  readonly code = 'IMAGE_PULL_FAILED';
  readonly reference: string;

  constructor(reference: string, options: { readonly cause: unknown }) {
    super(`pull ${reference} failed`, options);
    this.reference = reference;
  }
}

/** An archive given to `importArchive` is not one of the known kinds, or is damaged. Nothing of it was taken in. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
  readonly code = 'IMAGE_IMPORT_FAILED';
  readonly path: string;

  constructor(path: string, options: { readonly cause: unknown }) {
    super(`import ${path} failed`, options);
    this.path = path;
  }
}

/** Bytes do not hash to the digest that names them. */
export class DigestMismatchError extends Error {
  override readonly name = 'DigestMismatchError';
  readonly code = 'DIGEST_MISMATCH';

  constructor(what: string, expected: string, actual: string) {
    super(`verify ${what}: expected ${expected}, content is ${actual}`);
  }
}

/** A document from a registry or an archive does not have the form its standard asks for. */
export class MalformedImageError extends Error {
  override readonly name = 'MalformedImageError';
  readonly code = 'IMAGE_MALFORMED';

  constructor(what: string, why: string) {
    super(`read ${what}: ${why}`);
  }
}

/** The image exists, but not for a platform that this machine runs. */
export class PlatformUnavailableError extends Error {
  override readonly name = 'PlatformUnavailableError';
  readonly code = 'IMAGE_PLATFORM_UNAVAILABLE';

  constructor(wanted: string, available: readonly string[]) {
    super(`choose platform: image is not built for ${wanted}, only for ${available.length === 0 ? 'none' : available.join(', ')}`);
  }
}

/** A layer's archive is hostile, damaged or beyond the configured bounds. Nothing of it stays. */
export class LayerRejectedError extends Error {
  override readonly name = 'LayerRejectedError';
  readonly code = 'LAYER_REJECTED';

  constructor(why: string, options?: { readonly cause?: unknown }) {
    super(`unpack layer: ${why}`, options);
  }
}
