import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheDirectory, cachedDirectory } from './cache.ts';
import { debianUnavailable, downloadClosure, packageOf, prepareRoot, unpackPackages } from './debian.ts';
import { freePort } from './ports.ts';
import { findProgram, RunningProcess, runCommand } from './process.ts';

export interface RegistryOptions {
  /** Ask for this user and password (Basic). Default: anybody may push and pull. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Speak TLS with a certificate of its own. Default: false. */
  readonly tls?: boolean;
  /** Default: a free one. */
  readonly port?: number;
  /** Where to listen. Default: loopback only. */
  readonly address?: string;
}

/** Debian's `docker-registry` on loopback, with storage that goes with it. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`, as references spell it. */
  readonly host: string;
  readonly url: string;
  readonly port: number;
  /** PEM file to trust; only with TLS. */
  readonly caFile: string | undefined;
  readonly process: RunningProcess;
  readonly storageDirectory: string;
}

const START_MS = 20_000;

/** Why no registry can be started here, `undefined` if one can. */
export async function registryUnavailable(): Promise<string | undefined> {
  if ((await findProgram('docker-registry')) !== undefined) return undefined;
  return debianUnavailable();
}

/** Starts a registry and waits until it answers. @throws {Error} with its output, if it does not. */
export async function startRegistry({
  credentials,
  tls = false,
  port: wanted,
  address = '127.0.0.1',
}: RegistryOptions = {}): Promise<TestRegistry> {
  const program = await registryProgram();
  const directory = await mkdtemp(join(tmpdir(), `dure-registry-${process.pid}-`));
  const port = wanted ?? (await freePort());
  const storageDirectory = join(directory, 'storage');
  const settings: Record<string, unknown> = {
    version: 0.1,
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory: storageDirectory }, delete: { enabled: true } },
    http: { addr: `${address}:${port}`, ...(tls ? { tls: await makeCertificate(directory) } : {}) },
    ...(credentials === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: await makeHtpasswd(directory, credentials) } } }),
  };
  // JSON is YAML, too.
  await writeFile(join(directory, 'config.yml'), JSON.stringify(settings));
  try {
    const running = await RunningProcess.start(program, ['serve', join(directory, 'config.yml')], {
      env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
    });
    const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    try {
      await untilAnswers(url, running);
    } catch (error) {
      await running.stop();
      throw error;
    }
    return {
      host: `127.0.0.1:${port}`,
      url,
      port,
      caFile: tls ? join(directory, 'tls.crt') : undefined,
      process: running,
      storageDirectory,
      async [Symbol.asyncDispose]() {
        await running.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function registryProgram(): Promise<string> {
  const installed = await findProgram('docker-registry');
  if (installed !== undefined) return installed;
  const files = await downloadClosure({ packages: ['docker-registry'] });
  const file = files.find((name) => packageOf(name) === 'docker-registry');
  if (file === undefined) throw new Error('start registry: apt did not download docker-registry');
  // Only the package itself: it needs nothing but the libc of this machine.
  const root = await cachedDirectory(join(cacheDirectory(), 'roots', 'docker-registry'), async (directory) => {
    await prepareRoot(directory);
    await unpackPackages([file], directory);
  });
  return join(root, 'usr/bin/docker-registry');
}

async function makeCertificate(directory: string): Promise<{ readonly certificate: string; readonly key: string }> {
  const certificate = join(directory, 'tls.crt');
  const key = join(directory, 'tls.key');
  await runCommand('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=dure test registry'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key, '-out', certificate],
  ]);
  return { certificate, key };
}

/** The registry takes bcrypt only. */
async function makeHtpasswd(
  directory: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<string> {
  const path = join(directory, 'htpasswd');
  const htpasswd = await findProgram('htpasswd');
  if (htpasswd !== undefined) {
    const { stdout } = await runCommand(htpasswd, ['-niB', username], { input: password });
    await writeFile(path, stdout);
  } else {
    // perl's and Python's crypt are libcrypt's, which knows bcrypt; perl-base is on every Debian. `$2y$` with cost 5 is quick.
    const script = 'chomp(my $p = <STDIN>); print crypt($p, q($2b$05$abcdefghijklmnopqrstuu))';
    const { stdout } = await runCommand('perl', ['-e', script], { input: `${password}\n` });
    if (!stdout.startsWith('$2b$')) throw new Error('start registry: libcrypt here knows no bcrypt');
    await writeFile(path, `${username}:${stdout}\n`);
  }
  await chmod(path, 0o600);
  return path;
}

async function untilAnswers(url: string, running: RunningProcess): Promise<void> {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    if (running.exit !== undefined) throw new Error(`start registry: it ended at once\n${running.output}`);
    if (await answers(url)) return;
    await sleep(50);
  }
  throw new Error(`start registry: no answer in ${START_MS} ms\n${running.output}`);
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Whether the certificate is trusted is not the question here.
    const options = { rejectUnauthorized: false, timeout: 1_000 };
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(`${url}/v2/`, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200 || response.statusCode === 401);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
    request.end();
  });
}
