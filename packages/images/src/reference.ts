import { isDigest } from './digest.ts';
import { InvalidImageNameError } from './errors.ts';

/** An image reference with everything that its short form leaves out. Host port and case of the host are kept. */
export interface ImageReference {
  /** The registry as references spell it: `docker.io`, `registry.example:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** The repository inside the registry: `library/nginx`. */
  readonly path: string;
  /** `latest` if the reference had neither tag nor digest. */
  readonly tag?: string;
  /** Wins over `tag` when both are present. */
  readonly digest?: string;
}

const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const NAME_LENGTH_MAX = 255;
/** What Docker's grammar could never need more of; keeps the expressions above away from long hostile text. */
const REFERENCE_LENGTH_MAX = 1024;

/**
 * Reads a reference as Docker does: a missing registry is `docker.io`, a missing namespace there is `library`, a missing tag `latest`.
 * @throws {InvalidImageNameError} It follows no such form.
 * @see https://pkg.go.dev/github.com/distribution/reference
 */
export function parseReference(text: string): ImageReference {
  const fail = (why: string): never => {
    throw new InvalidImageNameError(text, why);
  };
  if (text === '') fail('it is empty');
  if (text.length > REFERENCE_LENGTH_MAX) fail(`it is longer than ${REFERENCE_LENGTH_MAX} characters`);
  if (/^[0-9a-f]{64}$/.test(text)) fail('64 hexadecimal digits are an image id, not a name');

  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) fail('what follows @ is no sha256 or sha512 digest');
  const named = at === -1 ? text : text.slice(0, at);

  // A colon after the last slash begins a tag; one before it belongs to the registry's port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) fail(`${JSON.stringify(tag)} is no tag`);
  const name = colon === -1 ? named : named.slice(0, colon);

  const { registry, path } = splitName(name);
  if (!DOMAIN.test(registry)) fail(`${JSON.stringify(registry)} is no registry host`);
  if (path === '') fail('it names no repository');
  if (path.length > NAME_LENGTH_MAX) fail(`the repository is longer than ${NAME_LENGTH_MAX} characters`);
  for (const component of path.split('/')) {
    if (PATH_COMPONENT.test(component)) continue;
    fail(/[A-Z]/.test(component) ? 'a repository must be lower case' : `${JSON.stringify(component)} cannot be part of a repository`);
  }

  if (digest !== undefined) return tag === undefined ? { registry, path, digest } : { registry, path, tag, digest };
  return { registry, path, tag: tag ?? 'latest' };
}

/** `registry/path`. */
export function repositoryOf({ registry, path }: ImageReference): string {
  return `${registry}/${path}`;
}

/** The fully qualified form: `repo@digest` where there is a digest, else `repo:tag`. */
export function renderReference(reference: ImageReference): string {
  const repository = repositoryOf(reference);
  return reference.digest === undefined ? `${repository}:${reference.tag ?? 'latest'}` : `${repository}@${reference.digest}`;
}

/** The image id in `text`, with or without `sha256:`, or `undefined` if it is something else. */
export function parseImageId(text: string): string | undefined {
  const hex = text.startsWith('sha256:') ? text.slice(7) : text;
  return /^[0-9a-f]{64}$/.test(hex) ? `sha256:${hex}` : undefined;
}

function splitName(name: string): { readonly registry: string; readonly path: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  // Only what cannot be a namespace of Docker Hub is a host: `foo/bar` is docker.io/foo/bar, `localhost/bar` is not.
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost' || first.toLowerCase() !== first;
  if (slash === -1 || !isHost) return { registry: 'docker.io', path: slash === -1 ? `library/${name}` : name };
  const rest = name.slice(slash + 1);
  if (first !== 'docker.io' && first !== 'index.docker.io') return { registry: first, path: rest };
  return { registry: 'docker.io', path: rest.includes('/') || rest === '' ? rest : `library/${rest}` };
}
