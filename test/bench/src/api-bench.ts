import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOAD } from './api-bench-load.ts';
import { apiContender } from './api-bench-requests.ts';
import { startBenchServer } from './api-bench-server.ts';
import { etcdContender, storeContender } from './api-bench-stores.ts';
import type { Say } from './benches.ts';
import { compare } from './compare.ts';
import { startEtcd } from './etcd.ts';
import type { BenchResult } from './report.ts';

const SORTS = ['create', 'update', 'get'];
const LISTS = ['list whole', 'list in pages'];

/** What a request to the API costs, beside the same to the store below it, and to an etcd on the same disk. */
export async function apiBench(say: Say): Promise<BenchResult> {
  const { singles, burst, atOnce, lists, stored, page, watchers, events } = LOAD;
  const directory = mkdtempSync(join(tmpdir(), 'dure-bench-stores-'));
  try {
    await using server = await startBenchServer();
    await using etcd = await startEtcd(join(directory, 'etcd'));
    await using api = await apiContender(server, say);
    await using store = await storeContender(join(directory, 'store'));
    await using peer = await etcdContender(etcd.url);
    const result = await compare(
      {
        title: 'Requests to the API',
        setting:
          `\`dure server\` with its embedded store; client and server in processes of their own, over TLS. Of each sort ${singles} requests one after the other for the times, ` +
          `then ${burst} with ${atOnce} at once for the rate; ${lists} lists of ${stored} Pods, whole, gzipped, and in pages of ${page}; ${events} writes to one of them, each seen by ` +
          `${watchers} watchers before the next, over a connection each (HTTP/1.1) and ten on a connection (HTTP/2). Pods of one container that nobody schedules; every write is on disk ` +
          'before it is acknowledged. CPU is that of the control plane with its controllers, for one request, from /proc. The store alone runs in the process that asks; etcd is asked ' +
          'over its JSON gateway.',
        rounds: 3,
        lowerIsBetter: [...SORTS, ...LISTS].flatMap((sort) => [`${sort}, ms, p50`, `${sort}, ms, p99`, `${sort}, ms`]),
        contenders: [api, store, peer],
        notes: [
          `Aims of the API server by itself: a create below 1 ms of CPU, a list of ${stored} Pods below 150 ms, an event with ${watchers} watchers within 100 ms. ` +
            'CPU is what to compare where others use the machine: the times wait for their turn on a processor.',
        ],
      },
      say,
    );
    return { kind: 'comparison', result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
