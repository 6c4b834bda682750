import { forbiddenRequest, type Json, type JsonObject, type KubeObject } from '@dure/api';
import type { Random } from '@dure/foundation';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { containersOf, newPodSpec, objectsIn, textIn } from './pod-shape.ts';

export const TOKEN_MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Not an hour sharp: the issuer recognises the injected volume by it and tolerates clients that never reload. */
const TOKEN_EXPIRATION_S = 3607;
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

interface AccountShape extends KubeObject {
  readonly automountServiceAccountToken?: boolean;
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
}

/** Gives every Pod a ServiceAccount, its token as a projected volume, and its pull secrets. */
export function serviceAccount(reader: ObjectReader, random: Random): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    async mutate(request) {
      const spec = newPodSpec(request);
      if (spec === undefined || isMirror(request.object)) return;
      if (textIn(spec.serviceAccountName) === '') spec.serviceAccountName = 'default';
      spec.serviceAccount = textIn(spec.serviceAccountName);
      const account = await find(reader, request, textIn(spec.serviceAccountName));
      if (automounts(spec, account)) mountToken(spec, random);
      if (objectsIn(spec.imagePullSecrets).length === 0 && account.imagePullSecrets?.length) {
        spec.imagePullSecrets = account.imagePullSecrets.map(({ name = '' }) => ({ name }));
      }
    },
    async validate(request) {
      const spec = newPodSpec(request);
      if (spec === undefined || !isMirror(request.object)) return;
      const refuse = (why: string) => forbiddenRequest({ group: '', resource: 'pods' }, request.name, why);
      if (textIn(spec.serviceAccountName) !== '') throw refuse('a mirror pod may not reference service accounts');
      if (objectsIn(spec.volumes).some(({ secret, projected }) => secret !== undefined || projected !== undefined)) {
        throw refuse('a mirror pod may not reference secrets');
      }
    },
  };
}

async function find(reader: ObjectReader, { namespace, name }: AdmissionRequest, accountName: string): Promise<AccountShape> {
  const account =
    (await reader.get('', 'serviceaccounts', namespace, accountName)) ??
    (await reader.get('', 'serviceaccounts', namespace, accountName, { fresh: true }));
  if (account !== undefined) return account;
  const why = `error looking up service account ${namespace}/${accountName}: serviceaccount "${accountName}" not found`;
  throw forbiddenRequest({ group: '', resource: 'pods' }, name, why);
}

/** The Pod's own word counts before the account's; silence means yes. */
function automounts(spec: JsonObject, account: AccountShape): boolean {
  if (typeof spec.automountServiceAccountToken === 'boolean') return spec.automountServiceAccountToken;
  return account.automountServiceAccountToken ?? true;
}

function mountToken(spec: JsonObject, random: Random): void {
  const containers = containersOf(spec).filter(
    (container) => !objectsIn(container.volumeMounts).some(({ mountPath }) => mountPath === TOKEN_MOUNT_PATH),
  );
  if (containers.length === 0) return;
  const existing = objectsIn(spec.volumes).find(({ name }) => textIn(name).startsWith('kube-api-access-'));
  const volumeName = existing === undefined ? `kube-api-access-${suffix(random)}` : textIn(existing.name);
  for (const container of containers) {
    const mount: Json = { name: volumeName, readOnly: true, mountPath: TOKEN_MOUNT_PATH };
    container.volumeMounts = [...objectsIn(container.volumeMounts), mount];
  }
  if (existing === undefined) spec.volumes = [...objectsIn(spec.volumes), tokenVolume(volumeName)];
}

function tokenVolume(name: string): JsonObject {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_EXPIRATION_S, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  };
}

function isMirror(object: JsonObject | undefined): boolean {
  const metadata = object?.metadata as { readonly annotations?: Readonly<Record<string, unknown>> } | undefined;
  return metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

function suffix(random: Random): string {
  return Array.from({ length: 5 }, () => SUFFIX_ALPHABET[random.integer(SUFFIX_ALPHABET.length)]).join('');
}
