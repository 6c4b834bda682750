import { resolve } from 'node:path';

/** Where the cluster's state is kept when it is in an etcd. */
export interface EtcdConfig {
  readonly endpoints: readonly string[];
  /** Stands before every key; '' for upstream's layout. */
  readonly prefix: string;
  /** Paths of PEM files; `cert` and `key` come together. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** The options' values as they were given, '' where they were not. */
export interface EtcdOptions {
  readonly endpoints: readonly string[];
  readonly prefix: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** @param check Takes each fault where its first argument is false. */
export function parseEtcdConfig(options: EtcdOptions, check: (good: boolean, fault: string) => void): EtcdConfig {
  const endpoints = options.endpoints.flatMap((text) => text.split(',')).map((text) => text.trim());
  check(endpoints.length > 0, '--store etcd: needs --etcd-endpoints');
  for (const endpoint of endpoints)
    check(/^https?:\/\/[^/\s]+:\d{1,5}\/?$/.test(endpoint), `--etcd-endpoints ${endpoint}: expected https://HOST:PORT`);
  const secure = endpoints.filter((endpoint) => endpoint.startsWith('https:')).length;
  check(secure === 0 || secure === endpoints.length, '--etcd-endpoints: either all https or all http');
  check((options.cert === '') === (options.key === ''), '--etcd-cert and --etcd-key: one is of no use without the other');
  check(secure > 0 || options.ca + options.cert === '', '--etcd-ca, --etcd-cert: the endpoints are http, which has no certificates');
  const path = (text: string): string | undefined => (text === '' ? undefined : resolve(text));
  return { endpoints, prefix: options.prefix, caFile: path(options.ca), certFile: path(options.cert), keyFile: path(options.key) };
}
