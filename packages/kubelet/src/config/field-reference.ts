import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '@dure/api';
import { amountOf } from '../resource-amount.ts';
import { ContainerConfigError } from './config-error.ts';

/** What a field reference may show besides the Pod's own fields. */
export interface FieldFacts {
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** What an unset limit stands for. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** The value of a downward API field. @throws {ContainerConfigError} No such field. */
export function fieldValue(pod: Pod, { fieldPath }: Pick<ObjectFieldSelector, 'fieldPath'>, facts: FieldFacts): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript !== null) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2] ?? ''] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return formatMap(pod.metadata.labels);
    case 'metadata.annotations':
      return formatMap(pod.metadata.annotations);
    case 'spec.nodeName':
      return pod.spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return facts.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return facts.hostIPs.join(',');
    case 'status.podIP':
      return facts.podIPs[0] ?? '';
    case 'status.podIPs':
      return facts.podIPs.join(',');
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** A container's request or limit in units of the divisor, rounded up. @throws {ContainerConfigError} No such resource. */
export function resourceValue(container: Container, { resource, divisor }: ResourceFieldSelector, facts: FieldFacts): string {
  const [list, ...rest] = resource.split('.');
  const name = rest.join('.');
  const { requests = {}, limits = {} } = container.resources ?? {};
  let quantity: string;
  if (list === 'limits') quantity = limits[name] ?? (isDefaulted(name) ? facts.allocatable[name] : undefined) ?? '0';
  else if (list === 'requests') quantity = requests[name] ?? limits[name] ?? '0';
  else throw new ContainerConfigError(`unsupported container resource : ${resource}`);
  const unit = divisor === undefined || amountOf(divisor) === 0 ? 1 : amountOf(divisor);
  const value = amountOf(quantity) / unit;
  // A quotient such as 0.1 / 0.001 misses its integer by a rounding error.
  const nearest = Math.round(value);
  return String(Math.abs(value - nearest) < 1e-6 ? nearest : Math.ceil(value));
}

function isDefaulted(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name === 'ephemeral-storage';
}

/** `key="escaped value"` per line, sorted: the form that label and annotation files have. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map?.[key] ?? '')}`)
    .join('\n');
}
