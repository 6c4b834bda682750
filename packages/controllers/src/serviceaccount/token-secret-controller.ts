import { isConflict, isNotFound, type Secret, type ServiceAccount, secrets, serviceAccounts } from '@dure/api';
import { parseKey } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';
const ACCOUNT_UID = 'kubernetes.io/service-account.uid';

export interface TokenSecretOptions {
  /** PEM that the holder verifies the API server with. */
  readonly rootCa: string;
  /** Makes the token. */
  readonly signToken: (claims: {
    readonly namespace: string;
    readonly secretName: string;
    readonly serviceAccount: { readonly name: string; readonly uid: string };
  }) => Promise<string>;
}

/** What is to become of a Secret that asks for a token. */
export type TokenSecretPlan =
  | { readonly kind: 'leave' }
  /** Its account is gone, or is another of the same name. */
  | { readonly kind: 'remove' }
  /** `sign`: the token is missing. */
  | { readonly kind: 'fill'; readonly sign: boolean; readonly data: Readonly<Record<string, string>>; readonly uid: string };

/** Pure. @param account The one that the Secret names, if it is there. */
export function planTokenSecret(secret: Secret, account: ServiceAccount | undefined, rootCa: string): TokenSecretPlan {
  const { annotations = {}, namespace = '', deletionTimestamp } = secret.metadata;
  if (secret.type !== TYPE || deletionTimestamp !== undefined) return { kind: 'leave' };
  const wantedUid = annotations[ACCOUNT_UID] ?? '';
  if (account === undefined || (wantedUid !== '' && wantedUid !== account.metadata.uid)) return { kind: 'remove' };
  const data = { 'ca.crt': base64(rootCa), namespace: base64(namespace) };
  const sign = (secret.data?.token ?? '') === '';
  // A namespace that somebody set stays: a token may be for use elsewhere.
  const kept = { ...data, ...((secret.data?.namespace ?? '') === '' ? {} : { namespace: secret.data?.namespace ?? '' }) };
  const isFull = !sign && wantedUid !== '' && Object.entries(kept).every(([name, value]) => secret.data?.[name] === value);
  return isFull ? { kind: 'leave' } : { kind: 'fill', sign, data: kept, uid: account.metadata.uid };
}

/** Puts a token into each Secret that asks for one, and removes it with its account. */
export function tokenSecretController({ rootCa, signToken }: TokenSecretOptions): ControllerFactory {
  return (context) => {
    const { client, informers, clock } = context;
    // Only those of this type: a cluster's other Secrets are many, and none of our business.
    const cache = informers.informer<Secret>(secrets, { fieldSelector: `type=${TYPE}` });
    const accounts = informers.informer<ServiceAccount>(serviceAccounts);
    const queue = new WorkQueue({ clock });
    const enqueue = ({ metadata }: Secret): void => queue.add(`${metadata.namespace}/${metadata.name}`);
    const enqueueOf = ({ metadata: { namespace, name } }: ServiceAccount): void => {
      for (const secret of cache.list()) {
        const { annotations } = secret.metadata;
        if (secret.metadata.namespace === namespace && annotations?.[ACCOUNT_NAME] === name) enqueue(secret);
      }
    };
    cache.addHandler({ add: enqueue, update: enqueue });
    accounts.addHandler({ add: enqueueOf, delete: enqueueOf });

    const reconciler: Reconciler = async (key, signal) => {
      const secret = cache.get(key);
      const { namespace = '', name = '', annotations = {}, uid = '' } = secret?.metadata ?? {};
      const accountName = annotations[ACCOUNT_NAME] ?? '';
      if (secret === undefined || accountName === '') return {};
      // An account that was made a moment ago may not be in the cache yet, and removing a Secret cannot be taken back.
      const account =
        accounts.get(`${namespace}/${accountName}`) ??
        (await client.get<ServiceAccount>(serviceAccounts, { namespace, name: accountName }, signal).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
          return undefined;
        }));
      const plan = planTokenSecret(secret, account, rootCa);
      try {
        if (plan.kind === 'remove') await client.delete(secrets, parseKey(key), { preconditions: { uid } }, signal);
        if (plan.kind === 'fill') {
          const token = plan.sign
            ? { token: base64(await signToken({ namespace, secretName: name, serviceAccount: { name: accountName, uid: plan.uid } })) }
            : {};
          const metadata = { ...secret.metadata, annotations: { ...annotations, [ACCOUNT_UID]: plan.uid } };
          await client.update<Secret>(secrets, { ...secret, metadata, data: { ...secret.data, ...plan.data, ...token } }, {}, signal);
        }
      } catch (error) {
        // Changed or gone meanwhile: the event of that brings it here again.
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return {};
    };
    return reconcilingController({ name: 'serviceaccount-token', context, queue, reconciler, caches: [cache, accounts], workers: 2 });
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
