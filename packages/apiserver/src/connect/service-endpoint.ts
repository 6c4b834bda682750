import { type KubeObject, notFound, serviceUnavailable } from '@dure/api';
import type { Random } from '@dure/foundation';
import type { ObjectReader } from '../contract/object-reader.ts';

/** One address behind a Service, and the port it serves there. */
export interface ServiceEndpoint {
  readonly host: string;
  readonly port: number;
}

interface ServiceShape extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly externalName?: string;
    readonly ports?: readonly { readonly name?: string; readonly port: number }[];
  };
}

interface EndpointDeps {
  readonly reads: ObjectReader;
  readonly random: Random;
}

interface SliceShape extends KubeObject {
  readonly endpoints?: readonly { readonly addresses: readonly string[]; readonly conditions?: { readonly ready?: boolean } }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[];
}

/**
 * One of a Service's ready endpoints, by chance: the server reaches Pods, while a Service's address may mean nothing on its machine.
 * @param port Name or number of the Service's port; '' means its only one.
 * @throws {StatusError} NotFound: no such Service. ServiceUnavailable: no such port, or nobody is ready behind it.
 */
export async function serviceEndpoint(deps: EndpointDeps, namespace: string, name: string, port: string): Promise<ServiceEndpoint> {
  return readyEndpoint(deps, await serviceOf(deps, namespace, name), port);
}

/**
 * The same for what the cluster's administrators name as a server (webhooks, extension API servers), which may also lie behind an external name.
 * Users who only proxy to Services must not reach such, since nothing bounds what it stands for.
 */
export async function serverEndpoint(deps: EndpointDeps, namespace: string, name: string, port: number): Promise<ServiceEndpoint> {
  const service = await serviceOf(deps, namespace, name);
  const { type, externalName = '' } = service.spec ?? {};
  return type === 'ExternalName' ? { host: externalName, port } : readyEndpoint(deps, service, String(port));
}

async function serviceOf({ reads }: EndpointDeps, namespace: string, name: string): Promise<ServiceShape> {
  const service = (await reads.get('', 'services', namespace, name, { fresh: true })) as ServiceShape | undefined;
  if (service === undefined) throw notFound({ group: '', resource: 'services' }, name);
  return service;
}

async function readyEndpoint({ reads, random }: EndpointDeps, service: ServiceShape, port: string): Promise<ServiceEndpoint> {
  const { name, namespace = '' } = service.metadata;
  const ports = service.spec?.ports ?? [];
  const chosen =
    port === '' && ports.length === 1
      ? ports[0]
      : ports.find((candidate) => (candidate.name ?? '') === port || String(candidate.port) === port);
  if (chosen === undefined) throw serviceUnavailable(`no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  const slices = (await reads.list('discovery.k8s.io', 'endpointslices', {
    namespace,
    where: ({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name,
  })) as readonly SliceShape[];
  const candidates = slices.flatMap(({ endpoints = [], ports: slicePorts = [] }) => {
    const found = slicePorts.find((candidate) => (candidate.name ?? '') === (chosen.name ?? ''));
    if (found?.port === undefined) return [];
    const { port: targetPort } = found;
    return endpoints
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.map((host) => ({ host, port: targetPort })));
  });
  const picked = candidates[random.integer(Math.max(candidates.length, 1))];
  if (picked === undefined) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  return picked;
}
