import { join } from 'node:path';
import { createResponder, createUpstream } from '@dure/dns';
import type { Clock, Logger, Random } from '@dure/foundation';
import { openSyscalls } from '@dure/network';
import { followTables, openApi } from './api-tables.ts';
import type { Config } from './config.ts';
import { serveHealth } from './health-server.ts';
import { hostResolvers } from './host-resolver.ts';
import { createNodeServices } from './node-services.ts';
import { loadTables, saveTables, type Tables } from './saved-tables.ts';
import { servingMark } from './serving-mark.ts';

export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Tables are written at most this often; one that was not written yet comes again from the API. */
const SAVE_INTERVAL_MS = 500;
const FOLLOW_AGAIN_MS = 5_000;
const DNS_PORT = 53;

/** The whole program: serves the last tables at once, then follows the API. Ends, drained, after `signal` aborts. */
export async function runServiceProxy(config: Config, { clock, random, log }: Surroundings, signal: AbortSignal): Promise<void> {
  const tablesPath = join(config.runDir, 'proxy', 'tables.json');
  const servers = config.upstreams ?? hostResolvers([config.dnsAddress]).map((address) => ({ address, port: DNS_PORT }));
  const upstream = createUpstream({ servers, clock, random, log });
  const responder = createResponder({ upstream, random, log });
  const mark = servingMark(join(config.runDir, 'proxy', 'serving'));
  const services = createNodeServices({
    onServing: () => mark.listening(),
    syscalls: openSyscalls(),
    namespacePath: join(config.runDir, 'netns', 'services'),
    dnsAddress: config.dnsAddress,
    responder,
    drainMs: config.drainMs,
    clock,
    random,
    log,
  });
  let unsaved: Tables | undefined;
  const apply = (tables: Tables): void => {
    services.update(tables.services);
    responder.update(tables.zone);
    mark.informed();
  };

  const saved = loadTables(tablesPath);
  if (saved) {
    apply(saved);
    log.info('serving the tables of the last process', { services: saved.services.services.length });
  }
  log.info('service proxy starts', { node: config.nodeName, upstreams: servers.map(({ address }) => address) });

  const follow = async (): Promise<void> => {
    const api = await openApi(config.kubeconfig, 'dure-service-proxy/0.1.0', { clock, log }, signal);
    if (!api) return;
    const onTables = (tables: Tables): void => {
      apply(tables);
      unsaved = tables;
    };
    await Promise.all([followTables({ client: api.client, config, clock, random, log }, onTables, signal), api.run()]);
  };
  /** Whatever is wrong with the way to the API, what is being served goes on. */
  const keepFollowing = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await follow();
      } catch (error) {
        log.error('cannot follow the API, trying again', { error });
        await clock.sleep(FOLLOW_AGAIN_MS, signal).catch(() => {});
      }
    }
  };
  const save = async (): Promise<void> => {
    const write = (): void => {
      if (!unsaved) return;
      try {
        saveTables(tablesPath, unsaved);
      } catch (error) {
        log.warn('tables not saved: the next process will have to wait for the API', { error });
      }
      unsaved = undefined;
    };
    while (!signal.aborted) {
      await clock.sleep(SAVE_INTERVAL_MS, signal).catch(() => {});
      write();
    }
  };
  await Promise.all([
    services.run(signal),
    responder.run(signal),
    keepFollowing(),
    save(),
    serveHealth({ port: config.healthPort, services, responder, log }, signal),
  ]);
}
