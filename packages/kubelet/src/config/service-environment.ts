import type { Service } from '@dure/api';

/**
 * The variables that tell a container where Services are, in the form Docker links had.
 * Services of the Pod's own namespace when links are enabled; `default/kubernetes` always.
 */
export function serviceEnvironment(
  services: readonly Service[],
  namespace: string,
  enableServiceLinks: boolean,
): ReadonlyMap<string, string> {
  const env = new Map<string, string>();
  const visible = new Map<string, Service>();
  for (const service of services) {
    const { clusterIP } = service.spec ?? {};
    if (clusterIP === undefined || clusterIP === '' || clusterIP === 'None') continue;
    const isMaster = service.metadata.namespace === 'default' && service.metadata.name === 'kubernetes';
    if (isMaster && !visible.has('kubernetes')) visible.set('kubernetes', service);
    // A Service named kubernetes in the Pod's namespace wins over the cluster's.
    else if (enableServiceLinks && service.metadata.namespace === namespace) visible.set(service.metadata.name, service);
  }
  for (const [name, service] of visible) addService(env, name, service);
  return env;
}

function addService(env: Map<string, string>, name: string, { spec }: Service): void {
  const prefix = name.toUpperCase().replaceAll('-', '_');
  const host = spec?.clusterIP ?? '';
  const ports = spec?.ports ?? [];
  const first = ports[0];
  if (first === undefined) return;
  env.set(`${prefix}_SERVICE_HOST`, host);
  env.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const port of ports) {
    if (port.name !== undefined && port.name !== '') {
      env.set(`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port));
    }
  }
  const address = host.includes(':') ? `[${host}]` : host;
  for (const [index, port] of ports.entries()) {
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    const url = `${protocol}://${address}:${port.port}`;
    if (index === 0) env.set(`${prefix}_PORT`, url);
    const portPrefix = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
    env.set(portPrefix, url);
    env.set(`${portPrefix}_PROTO`, protocol);
    env.set(`${portPrefix}_PORT`, String(port.port));
    env.set(`${portPrefix}_ADDR`, host);
  }
}
