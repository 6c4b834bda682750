import { silentLogger, systemClock } from '@dure/foundation';
import { openEmbeddedStore, type Revision } from '@dure/store';
import { Pool } from 'undici';
import { LOAD, measureRequests, timesOf } from './api-bench-load.ts';
import type { Contender } from './compare.ts';
import { quantile } from './pod-start-bench.ts';

/** About what the Pods of the other side take. */
const VALUE = Buffer.alloc(1100, 'x');
const ABSENT = 0 as Revision;
const PREFIX = '/registry/pods/';

/** The requests as they reach the store: ours, in the process that asks. */
export async function storeContender(directory: string): Promise<Contender & AsyncDisposable> {
  const store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger });
  for (let index = 0; index < LOAD.stored; index += 1) {
    await store.append({ kind: 'put', key: `${PREFIX}stored/${index}`, value: VALUE }, ABSENT, 'volatile');
  }
  let round = 0;
  return {
    name: 'store alone',
    async measure() {
      round += 1;
      const at = new Map<string, Revision>();
      const put = async (key: string): Promise<void> => {
        at.set(key, await store.append({ kind: 'put', key, value: VALUE }, at.get(key) ?? ABSENT, 'durable'));
      };
      const key = (index: number): string => `/registry/written/${round}/${index}`;
      const pages = async (): Promise<void> => {
        let after: string | undefined;
        do {
          const page = await store.list(`${PREFIX}stored/`, { limit: LOAD.page, ...(after === undefined ? {} : { after }) });
          after = page.remaining === 0 ? undefined : page.entries.at(-1)?.key;
        } while (after !== undefined);
      };
      return {
        ...(await measureRequests('create', (index) => put(key(index)))),
        ...(await measureRequests('update', (index) => put(key(index)))),
        ...(await measureRequests('get', (index) => store.get(`${PREFIX}stored/${index}`))),
        'list whole, ms': quantile(await timesOf(LOAD.lists, () => store.list(`${PREFIX}stored/`)), 0.5),
        'list in pages, ms': quantile(await timesOf(LOAD.lists, pages), 0.5),
      };
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** The same to an etcd, over its JSON gateway. */
export async function etcdContender(url: string): Promise<Contender & AsyncDisposable> {
  const pool = new Pool(url, { connections: LOAD.atOnce });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const value = VALUE.toString('base64');
  const send = async (path: string, body: object): Promise<string> => {
    const answer = await pool.request({ method: 'POST', path, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`etcd answered ${answer.statusCode} ${text}`);
    return text;
  };
  const put = (key: string): Promise<string> => send('/v3/kv/put', { key: base64(key), value });
  for (let index = 0; index < LOAD.stored; index += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, offset) => put(`${PREFIX}stored/${String(index + offset).padStart(6, '0')}`)));
  }
  const range = (limit: number, from: string): Promise<string> =>
    send('/v3/kv/range', { key: base64(from), range_end: base64(`${PREFIX}stored0`), limit });
  const pages = async (): Promise<void> => {
    for (let index = 0; index < LOAD.stored; index += LOAD.page) {
      await range(LOAD.page, `${PREFIX}stored/${String(index).padStart(6, '0')}`);
    }
  };
  let round = 0;
  return {
    name: 'etcd',
    async measure() {
      round += 1;
      const key = (index: number): string => `/registry/written/${round}/${index}`;
      return {
        ...(await measureRequests('create', (index) => put(key(index)))),
        ...(await measureRequests('update', (index) => put(key(index)))),
        ...(await measureRequests('get', (index) =>
          send('/v3/kv/range', { key: base64(`${PREFIX}stored/${String(index).padStart(6, '0')}`) }),
        )),
        'list whole, ms': quantile(await timesOf(LOAD.lists, () => range(0, `${PREFIX}stored/`)), 0.5),
        'list in pages, ms': quantile(await timesOf(LOAD.lists, pages), 0.5),
      };
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}
