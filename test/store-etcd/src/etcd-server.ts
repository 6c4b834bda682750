import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, type Identity, issueCertificate } from '@dure/pki';
import { debianUnavailable, findProgram, freePort, RunningProcess, runCommand, unpackedClosure } from '@dure/test-support';

/** PEM of all that a client and a server of one etcd need. */
export interface EtcdPki {
  readonly ca: string;
  readonly server: Identity;
  readonly client: Identity;
}

export interface TestEtcdOptions {
  /** Ask for certificates of clients and show one. Default: plain text. */
  readonly tls?: EtcdPki;
  /** Further command line options. */
  readonly args?: readonly string[];
}

/** Debian's etcd on loopback, with data that goes with it. Several are one cluster. */
export interface TestEtcd extends AsyncDisposable {
  readonly endpoints: readonly string[];
  /** Ends member `index`; its data stays. */
  stop(index?: number, signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again and waits until it serves. */
  start(index?: number): Promise<void>;
  pid(index?: number): number;
  /** What etcdctl prints. */
  ctl(...args: readonly string[]): Promise<string>;
}

/** Why no etcd can be started here, `undefined` if one can. */
export async function etcdUnavailable(): Promise<string | undefined> {
  if ((await findProgram('etcd')) !== undefined && (await findProgram('etcdctl')) !== undefined) return undefined;
  const reason = await debianUnavailable();
  if (reason !== undefined) return reason;
  return programs().then(
    () => undefined,
    (error: unknown) => `etcd cannot be had: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
  );
}

/** An authority with one certificate for servers on loopback and one for clients. */
export async function makeEtcdPki(): Promise<EtcdPki> {
  const context = { clock: systemClock, random: systemRandom };
  const authority = await createAuthority({ commonName: 'etcd-test-ca' }, context);
  const server = await issueCertificate(
    authority,
    {
      commonName: 'etcd',
      organizations: [],
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      usages: ['server auth', 'client auth'],
    },
    context,
  );
  const client = await issueCertificate(authority, { commonName: 'dure', organizations: [], usages: ['client auth'] }, context);
  return { ca: authority.certificatePem, server, client };
}

interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  process: RunningProcess | undefined;
}

/** Starts a cluster of `size` members and waits until each serves. */
export async function startEtcd({ tls, args = [] }: TestEtcdOptions = {}, size = 1): Promise<TestEtcd> {
  const { etcd, etcdctl } = await programs();
  const directory = await mkdtemp(join(tmpdir(), `dure-etcd-${process.pid}-`));
  const scheme = tls === undefined ? 'http' : 'https';
  const members: Member[] = [];
  for (let at = 0; at < size; at += 1) {
    members.push({
      name: `m${at}`,
      clientUrl: `${scheme}://127.0.0.1:${await freePort()}`,
      peerUrl: `http://127.0.0.1:${await freePort()}`,
      process: undefined,
    });
  }
  const files = { ca: join(directory, 'ca.crt'), cert: join(directory, 'server.crt'), key: join(directory, 'server.key') };
  const client = { cert: join(directory, 'client.crt'), key: join(directory, 'client.key') };
  if (tls !== undefined) {
    await writeFile(files.ca, tls.ca);
    await writeFile(files.cert, tls.server.certificatePem);
    await writeFile(files.key, tls.server.privateKeyPem, { mode: 0o600 });
    await writeFile(client.cert, tls.client.certificatePem);
    await writeFile(client.key, tls.client.privateKeyPem, { mode: 0o600 });
  }
  const tlsArgs =
    tls === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', files.ca, '--cert-file', files.cert, '--key-file', files.key];
  const ctlTls = tls === undefined ? [] : ['--cacert', files.ca, '--cert', client.cert, '--key', client.key];
  const env = { ...process.env, ETCDCTL_API: '3' };
  const run = (member: Member): Promise<RunningProcess> =>
    RunningProcess.start(
      etcd,
      [
        ...['--name', member.name, '--data-dir', join(directory, member.name), '--logger', 'zap', '--log-level', 'error'],
        ...['--listen-client-urls', member.clientUrl, '--advertise-client-urls', member.clientUrl],
        ...['--listen-peer-urls', member.peerUrl, '--initial-advertise-peer-urls', member.peerUrl],
        ...['--initial-cluster', members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',')],
        ...['--initial-cluster-token', `dure-${process.pid}`, ...tlsArgs, ...args],
      ],
      { env },
    );
  const ctl = async (urls: readonly string[], ...command: readonly string[]): Promise<string> =>
    (await runCommand(etcdctl, ['--endpoints', urls.join(','), ...ctlTls, ...command], { env, timeoutMs: 20_000 })).stdout;
  const untilServes = async (member: Member): Promise<void> => {
    for (const deadline = Date.now() + 30_000; ; ) {
      if (member.process?.exit !== undefined) throw new Error(`start etcd: it ended at once\n${member.process.output.slice(-4000)}`);
      const healthy = await ctl([member.clientUrl], 'endpoint', 'health').then(
        () => true,
        () => false,
      );
      if (healthy) return;
      if (Date.now() > deadline) throw new Error(`start etcd: no answer in 30 s\n${member.process?.output.slice(-4000)}`);
    }
  };
  const memberAt = (index: number): Member => {
    const member = members[index];
    if (member === undefined) throw new RangeError(`no member ${index}`);
    return member;
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(members.map(({ process: running }) => running?.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (const member of members) member.process = await run(member);
    for (const member of members) await untilServes(member);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    endpoints: members.map(({ clientUrl }) => clientUrl),
    async stop(index = 0, signal = 'SIGTERM') {
      const { process: running } = memberAt(index);
      running?.kill(signal);
      await running?.exited;
    },
    async start(index = 0) {
      const member = memberAt(index);
      member.process = await run(member);
      await untilServes(member);
    },
    pid: (index = 0) => memberAt(index).process?.pid ?? 0,
    ctl: (...command) =>
      ctl(
        members.map(({ clientUrl }) => clientUrl),
        ...command,
      ),
    [Symbol.asyncDispose]: dispose,
  };
}

async function programs(): Promise<{ readonly etcd: string; readonly etcdctl: string }> {
  const [etcd, etcdctl] = [await findProgram('etcd'), await findProgram('etcdctl')];
  if (etcd !== undefined && etcdctl !== undefined) return { etcd, etcdctl };
  const root = await unpackedClosure({ packages: ['etcd-server', 'etcd-client'] });
  return { etcd: join(root, 'usr/bin/etcd'), etcdctl: join(root, 'usr/bin/etcdctl') };
}
