import type { Secret } from '@dure/api';
import type { RegistryCredentials } from '@dure/images';

interface AuthEntry {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
}

/** The credentials in `secrets` that fit the image, the most specific registry entry first. Malformed secrets count as empty. */
export function credentialsFor(image: string, secrets: readonly Secret[]): readonly RegistryCredentials[] {
  const target = `${registryOf(image)}/${pathOf(image)}`;
  const found: { readonly length: number; readonly credentials: RegistryCredentials }[] = [];
  for (const secret of secrets) {
    for (const [key, entry] of Object.entries(authsOf(secret))) {
      const location = normalize(key);
      if (!fits(location, target)) continue;
      const credentials = credentialsOf(entry);
      if (credentials !== undefined) found.push({ length: location.length, credentials });
    }
  }
  return found.sort((a, b) => b.length - a.length).map(({ credentials }) => credentials);
}

/** The registry host that a reference names; Docker's when it names none. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost');
  return isHost ? normalize(first) : 'docker.io';
}

function pathOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost');
  const path = isHost ? rest.join('/') : image.includes('/') ? image : `library/${image}`;
  return path.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}

function normalize(key: string): string {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/(v1|v2)?\/?$/, '');
  return bare === 'index.docker.io' || bare === 'registry-1.docker.io' ? 'docker.io' : bare;
}

/** Host parts may be globs (`*.example.com`), the path is a prefix. */
function fits(location: string, target: string): boolean {
  const [host = '', ...path] = location.split('/');
  const [targetHost = '', ...targetPath] = target.split('/');
  const parts = host.split('.');
  const targetParts = targetHost.split('.');
  if (parts.length !== targetParts.length) return false;
  const hostFits = parts.every((part, index) => {
    const pattern = part
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${pattern}$`).test(targetParts[index] ?? '');
  });
  return hostFits && targetPath.join('/').startsWith(path.join('/'));
}

function authsOf({ type, data }: Secret): Readonly<Record<string, AuthEntry>> {
  try {
    if (type === 'kubernetes.io/dockercfg') return JSON.parse(decode(data?.['.dockercfg'])) as Record<string, AuthEntry>;
    const config = JSON.parse(decode(data?.['.dockerconfigjson'])) as { readonly auths?: Record<string, AuthEntry> };
    return config.auths ?? {};
  } catch {
    return {};
  }
}

function credentialsOf({ username, password, auth }: AuthEntry): RegistryCredentials | undefined {
  if (username !== undefined && password !== undefined) return { username, password };
  const pair = decode(auth);
  const colon = pair.indexOf(':');
  return colon < 1 ? undefined : { username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, '') };
}

function decode(value: string | undefined): string {
  return Buffer.from(value ?? '', 'base64').toString('utf8');
}
