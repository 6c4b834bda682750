import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import { RegistryFault } from './registry-fault.ts';

/** How to reach one registry. */
export interface RegistryHost {
  /** Base URLs (`https://mirror.example:5000`), asked in this order before the registry itself, always without its credentials. */
  readonly mirrors?: readonly string[];
  /** Speak HTTP. Default: only to `localhost` and loopback addresses for which no TLS setting is given. */
  readonly plainHttp?: boolean;
  /** Take any certificate. Default: false. */
  readonly insecureTls?: boolean;
  /** PEM file with authorities to trust besides the public ones. */
  readonly caFile?: string;
}

/** By registry as references spell it: `docker.io`, `registry.example:5000`. Mirrors and token servers are looked up here by their host too. */
export type RegistriesConfig = Readonly<Record<string, RegistryHost>>;

/** A place that serves a registry's API. */
export interface Endpoint {
  /** Without a closing slash. */
  readonly baseUrl: string;
  /** For messages. */
  readonly host: string;
  readonly isMirror: boolean;
}

/** Docker Hub's name in references is not the host of its API. */
const API_HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };
const CONNECT_TIMEOUT_MS = 15_000;

/** Endpoints and connections by configuration. Close it to give the connections back. */
export class RegistryHosts implements AsyncDisposable {
  readonly #config: RegistriesConfig;
  readonly #idleTimeoutMs: number;
  readonly #agents = new Map<string, Promise<Agent>>();

  /** @param idleTimeoutMs A connection on which nothing arrives for so long is given up. */
  constructor(config: RegistriesConfig, idleTimeoutMs: number) {
    this.#config = config;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Where to ask for `registry`, in order. */
  endpointsOf(registry: string): readonly Endpoint[] {
    const mirrors = (this.#config[registry]?.mirrors ?? []).map((mirror) => {
      const { host } = new URL(mirror);
      return { baseUrl: mirror.replace(/\/+$/, ''), host, isMirror: true };
    });
    const host = API_HOSTS[registry] ?? registry;
    const scheme = this.#speaksPlainHttp(registry) ? 'http' : 'https';
    return [...mirrors, { baseUrl: `${scheme}://${host}`, host, isMirror: false }];
  }

  /** Connections to `url`'s host, with its TLS settings. @throws {RegistryFault} Its CA file cannot be read. */
  dispatcherFor(url: URL): Promise<Dispatcher> {
    const key = this.#config[url.host] === undefined ? '' : url.host;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = this.#openAgent(this.#config[key] ?? {});
    this.#agents.set(key, agent);
    // A missing file may be there at the next try.
    agent.catch(() => this.#agents.delete(key));
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const agents = await Promise.allSettled(this.#agents.values());
    this.#agents.clear();
    await Promise.all(agents.flatMap((agent) => (agent.status === 'fulfilled' ? [agent.value.destroy()] : [])));
  }

  #speaksPlainHttp(registry: string): boolean {
    const { plainHttp, insecureTls, caFile } = this.#config[registry] ?? {};
    return plainHttp ?? (isLoopback(registry) && insecureTls !== true && caFile === undefined);
  }

  async #openAgent({ caFile, insecureTls }: RegistryHost): Promise<Agent> {
    return new Agent({
      headersTimeout: this.#idleTimeoutMs,
      bodyTimeout: this.#idleTimeoutMs,
      connect: {
        timeout: Math.min(CONNECT_TIMEOUT_MS, this.#idleTimeoutMs),
        ...(caFile === undefined ? {} : { ca: [...rootCertificates, await readCa(caFile)] }),
        ...(insecureTls === true ? { rejectUnauthorized: false } : {}),
      },
    });
  }
}

async function readCa(caFile: string): Promise<string> {
  try {
    return await readFile(caFile, 'utf8');
  } catch (cause) {
    throw new RegistryFault('refused', `read the registry's CA file ${caFile}`, { cause });
  }
}

/** @param registry `host[:port]`. */
function isLoopback(registry: string): boolean {
  const host = registry.startsWith('[') ? registry.slice(0, registry.indexOf(']') + 1) : registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
