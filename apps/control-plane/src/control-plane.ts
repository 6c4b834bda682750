import { hkdfSync } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { builtinKinds, type JsonObject, KindRegistry } from '@dure/api';
import {
  type ApiServer,
  bootstrapObjects,
  clusterAccess,
  createApiServer,
  type HealthCheck,
  kubernetesEndpoints,
  type NetworkDoor,
  nodeDialer,
  SYSTEM_USER,
  VOLATILE_PREFIXES,
  webhookClient,
} from '@dure/apiserver';
import { createClient, createInformerFactory, renderKubeconfig } from '@dure/client';
import { aborted, type Clock, errnoCode, type Logger, messageOf, type Random, Scope } from '@dure/foundation';
import { openEmbeddedStore, openMemoryStore, SealedStore, type Store } from '@dure/store';
import { openAccess } from './access-files.ts';
import { publishClientAuthorities } from './client-authorities.ts';
import { type ClusterPki, openClusterPki, serverNames } from './cluster-pki.ts';
import type { Config } from './config.ts';
import { runElectedWorkers } from './elected-workers.ts';
import { ensureObjects, type RefOf, replaceObject } from './ensure-objects.ts';
import { runKeptObjects } from './kept-objects.ts';
import { ServerAddresses } from './server-addresses.ts';
import { addressInCidr } from './service-range.ts';
import { runWorkers } from './workers.ts';

const NODE_PORTS = { from: 30_000, to: 32_767 };

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Runs API server, controllers and scheduler around one store until `signal` aborts; settles when all have ended and the store is closed. */
export async function runControlPlane(config: Config, { clock, random, log }: ControlPlaneDeps, signal: AbortSignal): Promise<void> {
  await using scope = new Scope();
  const apiServiceIP = addressInCidr(config.serviceCIDR, 1);
  const names = serverNames({ ...config, apiServiceIP, further: config.serverNames });
  const pki = await openClusterPki(join(config.dataDir, 'pki'), names, { clock, random });
  const issuer = `https://kubernetes.default.svc.${config.clusterDomain}`;
  const webhooks = scope.use(webhookClient({ clock, random }));
  const opened = scope.use(await openAccess(config.access, { issuer, webhooks, clock, log: log.child({ component: 'access' }) }));
  const { tokens, anonymous, authorization, admission, auditor, encryption } = opened;
  const plain = await openStore(config, { clock, random, log });
  const store = scope.use(encryption === undefined ? plain : new SealedStore(plain, encryption));
  const kinds = new KindRegistry(builtinKinds);
  const access = clusterAccess({
    issuer,
    tokens,
    anonymous,
    authorization,
    extendsTokens: config.access.extendsTokens,
    ...(config.access.tokenLifetimeMaxS === undefined ? {} : { tokenLifetimeMaxS: config.access.tokenLifetimeMaxS }),
    podSecurity: admission.podSecurity,
    serviceAccountKeyPem: pki.serviceAccountKeyPem,
    webhooks,
    clock,
    random,
  });
  const startHook = bootstrapHook();
  const { kubeletClient, ca } = pki;
  const nodes = scope.use(
    nodeDialer(() => ({ ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem })),
  );
  const server = scope.use(
    createApiServer({
      store,
      kinds,
      clock,
      random,
      log: log.child({ component: 'apiserver' }),
      ...access,
      ...(auditor === undefined ? {} : { auditor }),
      nodes,
      frontProxy: () => ({ cert: pki.frontProxyClient.certificatePem, key: pki.frontProxyClient.privateKeyPem }),
      continueTokenSecret: continueTokenSecret(pki),
      services: { cidrs: [config.serviceCIDR], nodePorts: NODE_PORTS },
      inFlight: config.inFlight,
      upkeep: { historyMs: config.compactionIntervalMs },
      advertisedAddress: `${config.advertiseAddress}:${config.port}`,
      healthChecks: [startHook.check, ...(encryption === undefined ? [] : [encryption.health])],
    }),
  );

  // Nobody is let in before what a cluster starts with is there: clients take the absence of a namespace for an answer.
  const facts = {
    apiServiceIP,
    dnsServiceIP: config.dnsAddress,
    serviceCIDRs: [config.serviceCIDR],
    advertiseAddress: config.advertiseAddress,
    apiPort: config.port,
    clusterCA: pki.ca.certificatePem,
    frontProxyCA: pki.frontProxyCa.certificatePem,
  };
  const client = createClient(server.transport(SYSTEM_USER, 'dure-bootstrap'), { userAgent: 'dure-bootstrap' });
  const refOf = refOfKinds(kinds);
  await ensureObjects(client, refOf, bootstrapObjects(facts), clock, signal);
  await publishClientAuthorities(client, facts, signal);
  // Only an etcd may have other servers on it.
  const addresses = config.etcd === undefined ? undefined : new ServerAddresses({ client, refOf, facts, clock, log });
  if (addresses !== undefined) await addresses.update(signal);
  else for (const object of kubernetesEndpoints(facts)) await replaceObject(client, refOf, object as JsonObject, signal);

  const door = await open(server, config, pki);
  await writeKubeconfig(config, pki);
  log.info('API server is ready', { host: config.host, port: door.address.port, kubeconfig: config.kubeconfig });

  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // One for each informer and controller.
  const run = config.etcd === undefined ? runWorkers : runElectedWorkers;
  const informers = createInformerFactory({ client, clock, random, log: log.child({ component: 'kept-objects' }) });
  const kept = { client, refOf, informers, clock, log: log.child({ component: 'kept-objects' }) };
  const working = Promise.all([
    run({ server, config, pki, clock, random, log }, stopping.signal),
    addresses?.run(stopping.signal),
    opened.run(stopping.signal),
    runKeptObjects(kept, startHook.done, stopping.signal),
    informers.run(stopping.signal),
  ]);
  try {
    await Promise.race([aborted(signal), working]);
  } finally {
    stopping.abort(new Error('the control plane is stopping'));
  }
  await working;
}

/** Not ready until what every cluster has is there. The name is of upstream's form. */
function bootstrapHook(): { readonly check: HealthCheck; done(): void } {
  let isDone = false;
  const check = async (): Promise<void> => {
    if (!isDone) throw new Error('not finished');
  };
  return {
    check: { name: 'poststarthook/bootstrap-objects', liveness: false, check },
    done() {
      isDone = true;
    },
  };
}

async function openStore({ store, dataDir, etcd }: Config, { clock, random, log }: ControlPlaneDeps): Promise<Store> {
  if (store === 'memory') return openMemoryStore({ clock, random });
  if (etcd !== undefined) {
    const read = async (path: string | undefined): Promise<string | undefined> => (path === undefined ? undefined : readFile(path, 'utf8'));
    const tls = { ca: await read(etcd.caFile), cert: await read(etcd.certFile), key: await read(etcd.keyFile) };
    // Loaded only where it is used: gRPC is as large as all the rest of the store.
    const { openEtcdStore } = await import('@dure/store/etcd');
    return openEtcdStore({ endpoints: etcd.endpoints, prefix: etcd.prefix, tls, clock, log: log.child({ component: 'store' }) });
  }
  return openEmbeddedStore({
    directory: join(dataDir, 'db'),
    volatileUnder: VOLATILE_PREFIXES,
    clock,
    log: log.child({ component: 'store' }),
  });
}

/** The same for all control planes of one cluster, since they share the key that it comes from: a list begun at one goes on at another. */
function continueTokenSecret({ serviceAccountKeyPem }: ClusterPki): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', serviceAccountKeyPem, '', 'dure continue tokens', 32));
}

/** The address that was asked for cannot be listened on: another process has it, it is not this machine's, or the port needs a privilege. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'LISTEN_FAILED';

  constructor(host: string, port: number, options: { cause: unknown }) {
    const code = errnoCode(options.cause);
    const why =
      code === 'EADDRINUSE'
        ? 'another process listens there'
        : code === 'EADDRNOTAVAIL'
          ? 'the address is not one of this machine'
          : code === 'EACCES'
            ? 'the port needs a privilege'
            : messageOf(options.cause);
    super(`listen on ${host.includes(':') ? `[${host}]` : host}:${port}: ${why}`, options);
  }
}

async function open(server: ApiServer, { host, port }: Config, { serving, ca, frontProxyCa }: ClusterPki): Promise<NetworkDoor> {
  const tls = {
    cert: serving.certificatePem,
    key: serving.privateKeyPem,
    clientCa: ca.certificatePem,
    frontProxyCa: frontProxyCa.certificatePem,
  };
  try {
    return await server.listen({ host, port }, tls);
  } catch (cause) {
    throw errnoCode(cause) === undefined ? cause : new ListenError(host, port, { cause });
  }
}

/** The administrator's way in. Written whole or not at all, and readable by its owner only. */
async function writeKubeconfig({ kubeconfig, host, port }: Config, { admin, ca }: ClusterPki): Promise<void> {
  const anywhere = host === '0.0.0.0' || host === '::';
  const shown = anywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  const text = renderKubeconfig({
    clusterName: 'dure',
    userName: 'kubernetes-admin',
    server: `https://${shown}:${port}`,
    ca: ca.certificatePem,
    certificate: admin.certificatePem,
    key: admin.privateKeyPem,
  });
  await mkdir(dirname(kubeconfig), { recursive: true });
  await writeFile(`${kubeconfig}.new`, text, { mode: 0o600 });
  await rename(`${kubeconfig}.new`, kubeconfig);
}

function refOfKinds(kinds: KindRegistry): RefOf {
  return (apiVersion, kind) => {
    const served = kinds.object(apiVersion, kind);
    if (served === undefined) return undefined;
    const { group, resource, namespaced } = served.definition;
    return { group, version: served.version.name, resource, kind, namespaced };
  };
}
