import { mkdirSync } from 'node:fs';
import { freePort, RunningProcess } from '@dure/test-support';
import { debianProgram } from './debian-program.ts';

export interface RunningEtcd extends AsyncDisposable {
  readonly url: string;
}

/** Debian's etcd on a free port, with its data below `directory`. */
export async function startEtcd(directory: string): Promise<RunningEtcd> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const [url, peer] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
  const [program = '', ...leading] = await debianProgram('etcd-server', 'etcd');
  const process = await RunningProcess.start(program, [
    ...leading,
    ...['--data-dir', directory, '--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
  ]);
  await process.waitForLine(/ready to serve client requests|serving insecure client requests/);
  return { url, [Symbol.asyncDispose]: async () => void (await process.stop()) };
}
