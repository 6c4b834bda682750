import { builtinKinds, type JsonObject } from '@dure/api';
import { defaultFlowControl } from './flow-control/flow-control-plan.ts';
import { builtinApiServices } from './local-api-services.ts';
import type { DefaultObject } from './object-change.ts';
import { controllerRoles, defaultRoles } from './rbac/default-roles.ts';

export interface BootstrapFacts {
  /** First address of the Service range: the `kubernetes` Service. */
  readonly apiServiceIP: string;
  readonly dnsServiceIP: string;
  /** Where Services get their addresses from: one range, or one of each family. */
  readonly serviceCIDRs: readonly string[];
  /** Where API servers really answer, for the Service's endpoints. */
  readonly advertiseAddress: string;
  readonly apiPort: number;
  /** PEM. */
  readonly clusterCA: string;
  /** PEM. Signs whom extension API servers believe on whose behalf they are asked. */
  readonly frontProxyCA: string;
}

/** What has to be there before anybody is let in. What lies in a namespace comes after it. */
export function bootstrapObjects(facts: BootstrapFacts): readonly DefaultObject[] {
  const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
  return [
    ...namespaces.map((name): DefaultObject => ({ object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } })),
    ...defaultRoles(),
    ...[...priorityClasses(), serviceRange(facts), kubernetesService(facts), dnsService(facts)].map(
      (object): DefaultObject => ({ object }),
    ),
  ];
}

/** What every cluster has besides, and nobody needs in its first moment: the server is open meanwhile, and says that it is not ready. */
export function furtherObjects(): readonly DefaultObject[] {
  return [...builtinApiServices(builtinKinds), ...defaultFlowControl(), ...controllerRoles()];
}

/** Where the API server stands behind its Service; replaced whenever the address changes. */
export function kubernetesEndpoints(
  { advertiseAddress, apiPort }: BootstrapFacts,
  /** Of all API servers on the store. */
  addresses: readonly string[] = [advertiseAddress],
): JsonObject[] {
  const labels = { 'endpointslice.kubernetes.io/skip-mirror': 'true' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'kubernetes', namespace: 'default', labels },
      subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports: [{ name: 'https', port: apiPort, protocol: 'TCP' }] }],
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: advertiseAddress.includes(':') ? 'IPv6' : 'IPv4',
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
      ports: [{ name: 'https', port: apiPort, protocol: 'TCP' }],
    },
  ];
}

/** Says where addresses come from, to whoever asks; a controller says that it is ready. */
function serviceRange({ serviceCIDRs }: BootstrapFacts): JsonObject {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name: 'kubernetes' }, spec: { cidrs: [...serviceCIDRs] } };
}

function kubernetesService({ apiServiceIP, apiPort }: BootstrapFacts): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kubernetes', namespace: 'default', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: apiServiceIP,
      clusterIPs: [apiServiceIP],
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: apiPort }],
      sessionAffinity: 'None',
    },
  };
}

/** Without a selector: every node's own responder answers at this address, there are no Pods behind it. */
function dnsService({ dnsServiceIP }: BootstrapFacts): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kube-dns',
      namespace: 'kube-system',
      labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: dnsServiceIP,
      clusterIPs: [dnsServiceIP],
      ports: [
        { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
        { name: 'dns-tcp', protocol: 'TCP', port: 53, targetPort: 53 },
      ],
    },
  };
}

/** The classes that only the system's namespaces may use; the numbers are upstream's. */
function priorityClasses(): JsonObject[] {
  const systemClass = (name: string, value: number, description: string): JsonObject => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
    description,
    preemptionPolicy: 'PreemptLowerPriority',
  });
  return [
    systemClass('system-cluster-critical', 2_000_000_000, 'For Pods that the cluster needs, wherever they run.'),
    systemClass('system-node-critical', 2_000_001_000, 'For Pods that their node needs.'),
  ];
}
