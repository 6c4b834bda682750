import { statSync } from 'node:fs';
import { endpointSlices, type KubeObject, nodes, services } from '@dure/api';
import {
  type Client,
  createClient,
  createInformerFactory,
  createNetworkTransport,
  type Informer,
  KubeconfigError,
  loadKubeconfig,
  type NetworkTransport,
  withoutManagedFields,
} from '@dure/client';
import { type Clock, type Logger, messageOf, type Random } from '@dure/foundation';
import type { Config } from './config.ts';
import { translateServices } from './proxy-table.ts';
import type { Tables } from './saved-tables.ts';
import { translateZone } from './zone-table.ts';

export interface ApiTablesOptions {
  readonly client: Client;
  readonly config: Pick<Config, 'nodeName' | 'clusterDomain' | 'dnsAddress'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Changes that come within this time are one. */
const DEBOUNCE_MS = 20;
const KUBECONFIG_POLL_MS = 1_000;
const ZONE_LABEL = 'topology.kubernetes.io/zone';
const DNS_PORT = 53;

/**
 * Follows Services, EndpointSlices and this node until `signal` aborts, and hands over whole tables.
 * Says nothing before it has seen everything once: a half-known cluster must not replace what is being served.
 */
export async function followTables(
  { client, config, clock, random, log }: ApiTablesOptions,
  onTables: (tables: Tables) => void,
  signal: AbortSignal,
): Promise<void> {
  const factory = createInformerFactory({ client, clock, random, log, transform: withoutManagedFields });
  const serviceInformer = factory.informer(services);
  const sliceInformer = factory.informer(endpointSlices);
  const nodeInformer = factory.informer(nodes, { fieldSelector: `metadata.name=${config.nodeName}` });
  const reserved = new Set([`${config.dnsAddress}:${DNS_PORT}`]);

  let isSynced = false;
  let isPending = false;
  const publish = async (): Promise<void> => {
    if (!isSynced || isPending) return;
    isPending = true;
    await clock.sleep(DEBOUNCE_MS, signal).catch(() => {});
    isPending = false;
    if (signal.aborted) return;
    const objects = { services: serviceInformer.list(), endpointSlices: sliceInformer.list() };
    const zone = nodeInformer.get(config.nodeName)?.metadata.labels?.[ZONE_LABEL];
    const context = { nodeName: config.nodeName, reserved, ...(zone !== undefined && { zone }) };
    onTables({ services: translateServices(objects, context), zone: translateZone(objects, config.clusterDomain) });
  };
  const listen = <T extends KubeObject>(informer: Informer<T>, matters: (object: T, old: T) => boolean): void => {
    const publishNow = (): void => void publish();
    informer.addHandler({
      add: publishNow,
      delete: publishNow,
      update: (object, old) => {
        if (matters(object, old)) publishNow();
      },
    });
  };
  listen(serviceInformer, () => true);
  listen(sliceInformer, () => true);
  // A node's status changes with every heartbeat; only its zone means anything here.
  listen(nodeInformer, (object, old) => object.metadata.labels?.[ZONE_LABEL] !== old.metadata.labels?.[ZONE_LABEL]);

  const running = factory.run(signal);
  await factory.whenSynced(signal).then(
    () => {
      isSynced = true;
      log.info('following the API', { services: serviceInformer.size, endpointSlices: sliceInformer.size });
      void publish();
    },
    () => {},
  );
  await running;
}

/** A client from the kubeconfig at `path`, once there is one. New credentials in the file are taken over. @returns `undefined`: `signal` aborted first. */
export async function openApi(
  path: string,
  userAgent: string,
  { clock, log }: { clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<{ client: Client; run(): Promise<void> } | undefined> {
  let transport: NetworkTransport | undefined;
  let modified = 0;
  let hasComplained = false;
  const refresh = async (): Promise<void> => {
    const found = modifiedMs(path);
    if (found === modified) return;
    try {
      const access = await loadKubeconfig(path);
      if (transport) {
        transport.setIdentity(access);
        if (access.ca !== undefined) transport.setTrust(access.ca);
      } else {
        transport = createNetworkTransport(access);
      }
      modified = found;
    } catch (error) {
      if (!(error instanceof KubeconfigError)) throw error;
      if (!hasComplained) log.info('waiting for a kubeconfig', { reason: messageOf(error) });
      hasComplained = true;
    }
  };
  modified = -1;
  while (!transport && !signal.aborted) {
    await refresh();
    if (!transport) await clock.sleep(KUBECONFIG_POLL_MS, signal).catch(() => {});
  }
  const open = transport;
  if (!open) return undefined;
  return {
    client: createClient(open, { userAgent }),
    async run() {
      while (!signal.aborted) {
        await clock.sleep(KUBECONFIG_POLL_MS * 10, signal).catch(() => {});
        if (!signal.aborted) await refresh();
      }
      await open[Symbol.asyncDispose]();
    },
  };
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
