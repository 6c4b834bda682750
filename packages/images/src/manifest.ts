import type { ImageConfig } from './contract.ts';
import { type Digest, isDigest } from './digest.ts';
import { MalformedImageError } from './errors.ts';
import type { Platform } from './platform.ts';

/** What to ask a registry for, best first. Schema 1 is left out: it cannot be verified and is gone from registries. */
export const MANIFEST_MEDIA_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** Bounds a manifest, index or configuration in memory; registries themselves refuse more. */
export const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
/** More layers than overlayfs can stack (500) are of no use. */
const LAYERS_MAX = 500;
const INDEX_ENTRIES_MAX = 1_000;

/** Names bytes by digest and length. @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly platform: Platform | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One image for one platform. */
export interface Manifest {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

/** One image for several platforms, or the list of what an archive holds. */
export interface Index {
  readonly kind: 'index';
  readonly manifests: readonly Descriptor[];
}

/** The image configuration as far as Dure uses it. */
export interface ConfigFile {
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIDs: readonly Digest[];
}

/**
 * Reads a manifest or index; OCI and Docker differ only in media types.
 * @param what Names the document in errors. @throws {MalformedImageError} It is neither.
 */
export function parseManifest(bytes: Uint8Array, what: string): Manifest | Index {
  const document = asObject(parseJson(bytes, what), what);
  if (document.schemaVersion === 1)
    throw new MalformedImageError(what, 'it is a schema 1 manifest, which is no longer supported: push the image anew');
  if (document.schemaVersion !== 2) throw new MalformedImageError(what, 'schemaVersion is not 2');
  if (Array.isArray(document.manifests)) {
    if (document.manifests.length > INDEX_ENTRIES_MAX)
      throw new MalformedImageError(what, `it lists more than ${INDEX_ENTRIES_MAX} manifests`);
    return { kind: 'index', manifests: document.manifests.map((entry, at) => parseDescriptor(entry, `${what}, manifests[${at}]`)) };
  }
  if (!Array.isArray(document.layers)) throw new MalformedImageError(what, 'it has neither layers nor manifests');
  if (document.layers.length > LAYERS_MAX) throw new MalformedImageError(what, `it has more than ${LAYERS_MAX} layers`);
  return {
    kind: 'manifest',
    config: parseDescriptor(document.config, `${what}, config`),
    layers: document.layers.map((layer, at) => parseDescriptor(layer, `${what}, layers[${at}]`)),
  };
}

/** Reads an image configuration. @throws {MalformedImageError} It is none, as with charts and other artifacts in registries. */
export function parseConfigFile(bytes: Uint8Array, what: string): ConfigFile {
  const document = asObject(parseJson(bytes, what), what);
  const rootfs = asObject(document.rootfs ?? {}, `${what}, rootfs`);
  const diffIDs = rootfs.diff_ids;
  if (!Array.isArray(diffIDs) || !diffIDs.every((id): id is string => typeof id === 'string' && isDigest(id))) {
    throw new MalformedImageError(what, 'rootfs.diff_ids is no list of digests: is this a container image?');
  }
  const config = asObject(document.config ?? {}, `${what}, config`);
  const stopSignal = text(config.StopSignal);
  const variant = text(document.variant);
  return {
    config: {
      entrypoint: texts(config.Entrypoint),
      cmd: texts(config.Cmd),
      env: texts(config.Env),
      workingDir: text(config.WorkingDir),
      user: text(config.User),
      ...(stopSignal === '' ? {} : { stopSignal }),
      exposedPorts: keys(config.ExposedPorts),
      volumes: keys(config.Volumes),
      labels: textMap(config.Labels),
    },
    platform: {
      os: text(document.os) || 'linux',
      architecture: text(document.architecture),
      ...(variant === '' ? {} : { variant }),
    },
    diffIDs,
  };
}

/** @throws {MalformedImageError} It is not JSON. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new MalformedImageError(what, `it is not JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  const descriptor = asObject(value, what);
  const { digest, size } = descriptor;
  if (typeof digest !== 'string' || !isDigest(digest)) throw new MalformedImageError(what, 'digest is no sha256 or sha512 digest');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new MalformedImageError(what, 'size is no length in bytes');
  return {
    mediaType: text(descriptor.mediaType),
    digest,
    sizeBytes: size,
    platform: parsePlatform(descriptor.platform),
    annotations: textMap(descriptor.annotations),
  };
}

function parsePlatform(value: unknown): Platform | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { os, architecture, variant } = value as Record<string, unknown>;
  const named = text(variant);
  return { os: text(os), architecture: text(architecture), ...(named === '' ? {} : { variant: named }) };
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedImageError(what, 'it is no JSON object');
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function keys(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
