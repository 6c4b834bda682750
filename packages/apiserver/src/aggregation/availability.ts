/** Whether the Service of an APIService can be asked at all. Pure. */
import type { KubeObject } from '@dure/api';
import type { ExtensionTarget } from '../connect/extension-dialer.ts';
import type { Condition } from '../registry/conditions.ts';

export interface ServiceShape extends KubeObject {
  readonly spec?: { readonly type?: string; readonly ports?: readonly { readonly name?: string; readonly port: number }[] };
}

export interface SliceShape extends KubeObject {
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[];
}

/** @see kube-aggregator, `AvailableConditionController`: reasons and messages are upstream's. */
export const LOCAL: Condition = condition('True', 'Local', 'Local APIServices are always available');
export const PASSED: Condition = condition('True', 'Passed', 'all checks passed');

export function failedDiscovery(message: string): Condition {
  return condition('False', 'FailedDiscoveryCheck', message);
}

/** Why the Service cannot be asked; `undefined`: ask its server. @param slices Those of the Service. */
export function whyUnreachable(
  target: ExtensionTarget,
  service: ServiceShape | undefined,
  slices: readonly SliceShape[],
): Condition | undefined {
  const { namespace, name, port } = target;
  const shown = `service/${name} in ${JSON.stringify(namespace)}`;
  if (service === undefined) return condition('False', 'ServiceNotFound', `${shown} is not present`);
  if ((service.spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined;
  const known = service.spec?.ports?.find((candidate) => candidate.port === port);
  if (known === undefined) return condition('False', 'ServicePortError', `${shown} is not listening on port ${port}`);
  if (slices.length === 0) return condition('False', 'EndpointsNotFound', `cannot find endpointslices for ${shown}`);
  const { name: portName = '' } = known;
  const isServed = slices.some(
    ({ endpoints = [], ports = [] }) =>
      endpoints.some(({ conditions }) => conditions?.ready !== false) &&
      ports.some((candidate) => (candidate.name ?? '') === portName && candidate.port !== undefined),
  );
  if (isServed) return undefined;
  return condition('False', 'MissingEndpoints', `endpointslices for ${shown} have no addresses with port name ${JSON.stringify(portName)}`);
}

function condition(status: Condition['status'], reason: string, message: string): Condition {
  return { type: 'Available', status, reason, message };
}
