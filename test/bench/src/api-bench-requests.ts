import { Pool } from 'undici';
import { burst, LOAD, measureRequests, timesOf } from './api-bench-load.ts';
import type { BenchServer } from './api-bench-server.ts';
import { type Watchers, watchOverHttp1, watchOverHttp2 } from './api-bench-watchers.ts';
import type { Say } from './benches.ts';
import type { Contender } from './compare.ts';
import { quantile } from './pod-start-bench.ts';
import { cpuMs, pssBytes } from './process-usage.ts';

const STREAMS_PER_CONNECTION = 10;
const SETTLE_MS = 500;
const NAMESPACES = ['stored', 'written'] as const;

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The requests as clients send them. */
export async function apiContender({ pid, access }: BenchServer, say: Say): Promise<Contender & AsyncDisposable> {
  const { host, port, ca, cert, key } = access;
  const pool = new Pool(`https://${host}:${port}`, { connections: LOAD.atOnce, connect: { ca, cert, key } });
  const send = async (method: Method, path: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Buffer> => {
    const answer = await pool.request({
      method,
      path,
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${bytes.toString().slice(0, 500)}`);
    return bytes;
  };
  for (const name of NAMESPACES) await send('POST', '/api/v1/namespaces', { metadata: { name } });
  for (const namespace of NAMESPACES) await defaultAccount(namespace);
  await burst(LOAD.stored, LOAD.atOnce, (index) => send('POST', podsIn('stored'), pod(`pod-${index}`)));
  say(`${LOAD.stored} Pods stored: ${(pssBytes(pid) / 1e6).toFixed(0)} MB`);

  async function defaultAccount(namespace: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts?fieldSelector=metadata.name%3Ddefault`;
    // Made by a controller; Pods are refused before.
    while ((JSON.parse((await send('GET', path)).toString()) as { items: unknown[] }).items.length === 0) await new Promise(setImmediate);
  }

  /** CPU of the server in ms for each of `count`, beside what `measure` gives. */
  const withCpu = async <T>(count: number, measure: () => Promise<T>): Promise<readonly [T, number]> => {
    const before = cpuMs(pid);
    const result = await measure();
    return [result, (cpuMs(pid) - before) / count];
  };
  const requests = async (sort: string, one: (index: number) => Promise<unknown>): Promise<Readonly<Record<string, number>>> => {
    const [numbers, cpu] = await withCpu(LOAD.singles + LOAD.burst, () => measureRequests(sort, one));
    return { ...numbers, [`${sort}, CPU ms`]: cpu };
  };
  const lists = async (sort: string, one: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> => {
    const [times, cpu] = await withCpu(LOAD.lists, () => timesOf(LOAD.lists, one));
    return { [`${sort}, ms`]: quantile(times, 0.5), [`${sort}, CPU ms`]: cpu };
  };
  const pages = async (): Promise<void> => {
    let next: string | undefined = '';
    while (next !== undefined) {
      const page: Buffer = await send('GET', `${podsIn('stored')}?limit=${LOAD.page}${next === '' ? '' : `&continue=${next}`}`);
      next = /"continue":"([^"]+)"/.exec(page.subarray(0, 1000).toString())?.[1];
    }
  };
  let marks = 0;
  const fanOut = async (over: string, open: () => Promise<Watchers>): Promise<Readonly<Record<string, number>>> => {
    await using watchers = await open();
    // What their coming left to do is not the event's.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const write = async (): Promise<void> => {
      marks += 1;
      const mark = `mark-${marks}-`;
      const seen = watchers.seen(mark);
      const patch = { metadata: { annotations: { mark } } };
      await send('PATCH', `${podsIn('stored')}/pod-0`, patch, { 'content-type': 'application/merge-patch+json' });
      await seen;
    };
    await write();
    const [times, cpu] = await withCpu(LOAD.events, () => timesOf(LOAD.events, write));
    return { [`event to ${LOAD.watchers} watchers over ${over}, ms`]: quantile(times, 0.5), [`of it CPU ms, over ${over}`]: cpu };
  };

  let round = 0;
  return {
    name: 'API server',
    async measure() {
      round += 1;
      const name = (index: number): string => `r${round}-${index}`;
      const path = (index: number): string => `${podsIn('written')}/${name(index)}`;
      const revision = Buffer.from(await send('GET', `${podsIn('stored')}?limit=1`));
      const since = /"resourceVersion":"(\d+)"/.exec(revision.toString())?.[1] ?? '';
      const watched = `${podsIn('stored')}?watch=1&resourceVersion=${since}`;
      const created = new Map<number, Buffer>();
      const apply = (index: number): object => ({ apiVersion: 'v1', kind: 'Pod', ...pod(name(index), { applied: String(index) }) });
      const manager = '?fieldManager=bench&force=true';
      const numbers = {
        ...(await requests('create', async (index) => created.set(index, await send('POST', podsIn('written'), pod(name(index)))))),
        ...(await requests('update', (index) => send('PUT', path(index), labelled(created.get(index))))),
        ...(await requests('apply', (index) =>
          send('PATCH', `${path(index)}${manager}`, apply(index), { 'content-type': 'application/apply-patch+yaml' }),
        )),
        ...(await requests('get', (index) => send('GET', `${podsIn('stored')}/pod-${index}`))),
        ...(await lists('list whole', () => send('GET', podsIn('stored')))),
        ...(await lists('list whole, gzipped', () => send('GET', podsIn('stored'), undefined, { 'accept-encoding': 'gzip' }))),
        ...(await lists('list in pages', pages)),
        ...(await fanOut('HTTP/1.1', () => watchOverHttp1(access, watched, LOAD.watchers))),
        ...(await fanOut('HTTP/2', () => watchOverHttp2(access, watched, LOAD.watchers, STREAMS_PER_CONNECTION))),
        'memory, MB': pssBytes(pid) / 1e6,
      };
      await send('DELETE', `${podsIn('written')}?gracePeriodSeconds=0`);
      return numbers;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

function podsIn(namespace: (typeof NAMESPACES)[number]): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

/** What a client that read an object sends back changed. */
function labelled(read: Buffer | undefined): object {
  const object = JSON.parse(String(read)) as { metadata: { labels: Record<string, string> } };
  object.metadata.labels.updated = 'yes';
  return object;
}

/** Of no scheduler that runs: what follows from a Pod is no part of these measurements. */
function pod(name: string, labels: Readonly<Record<string, string>> = {}): object {
  return {
    metadata: { name, labels: { app: 'bench', ...labels } },
    spec: {
      schedulerName: 'nobody',
      containers: [
        {
          name: 'web',
          image: 'registry.example/web:1.2.3',
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [{ name: 'LEVEL', value: 'info' }],
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
          readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 5 },
        },
      ],
    },
  };
}
