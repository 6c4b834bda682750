import { invalidObject, type JsonObject, objectAt, objectsAt, semanticEqual, stringAt } from '@dure/api';
import type { AdmissionRequest } from '../../contract/admission.ts';
import type { ObjectReader } from '../../contract/object-reader.ts';
import type { AdmissionPlugin } from '../admission-chain.ts';
import { refusal } from '../refusal.ts';
import { detailsOf, evaluatePod, reasonsOf } from './evaluation.ts';
import type { Finding, PodShape } from './finding.ts';
import { type PodSecurityConfig, type PodSecurityExemptions, USUAL_POD_SECURITY } from './pod-security-config.ts';
import { isStricter, type NamespacePolicy, policyOf, type Standard, sameStandard, showStandard } from './policy.ts';

/** Pods that are looked at when a namespace becomes stricter. */
const PODS_MAX = 3000;
const AUDIT_PREFIX = 'pod-security.kubernetes.io/';
/** Doors that change nothing of what is asked here. */
const OTHER_DOORS: ReadonlySet<string> = new Set(['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status']);
/** Kinds that make Pods, and where they hold the template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  '/podtemplates': ['template'],
  '/replicationcontrollers': ['spec', 'template'],
  'apps/daemonsets': ['spec', 'template'],
  'apps/deployments': ['spec', 'template'],
  'apps/replicasets': ['spec', 'template'],
  'apps/statefulsets': ['spec', 'template'],
  'batch/cronjobs': ['spec', 'jobTemplate', 'spec', 'template'],
  'batch/jobs': ['spec', 'template'],
};

/**
 * Holds Pods to the standard that their namespace's labels name, and tells those who write what makes Pods.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */
export function podSecurity(reader: ObjectReader, config: PodSecurityConfig = USUAL_POD_SECURITY): AdmissionPlugin {
  const { defaults, exemptions } = config;
  return {
    name: 'PodSecurity',
    async validate(request) {
      const { operation, group, resource, object, subresource } = request;
      if (object === undefined || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      if (group === '' && resource === 'namespaces') {
        if (subresource === '') await judgeNamespace(reader, config, request, object);
        return;
      }
      const isPod = group === '' && resource === 'pods';
      const place = TEMPLATES[`${group}/${resource}`];
      if (isPod ? OTHER_DOORS.has(subresource) : place === undefined || subresource !== '') return;
      const shape = isPod ? object : objectAt(object, ...(place ?? []));
      const exempt = exemptionOf(exemptions, request, shape);
      if (exempt !== undefined) {
        request.annotate(`${AUDIT_PREFIX}exempt`, exempt);
        return;
      }
      const { policy, faults } = await policyIn(reader, request.namespace, defaults);
      const modes = isPod ? [policy.enforce, policy.audit, policy.warn] : [policy.audit, policy.warn];
      if (faults.length === 0 && modes.every(({ level }) => level === 'privileged')) {
        if (isPod) request.annotate(`${AUDIT_PREFIX}enforce-policy`, 'privileged:latest');
        return;
      }
      if (
        shape === undefined ||
        (isPod && operation === 'UPDATE' && !changesContainers(object, request.oldObject as unknown as JsonObject))
      )
        return;
      if (faults.length > 0) {
        const list = faults.map(({ field, message }) => `${field}: ${message}`);
        request.annotate(`${AUDIT_PREFIX}error`, `Failed to parse policy: ${list.length === 1 ? list[0] : `[${list.join(', ')}]`}`);
      }
      judgePod(request, policy, { metadata: objectAt(shape, 'metadata') ?? {}, spec: objectAt(shape, 'spec') ?? {} }, isPod);
    },
  };
}

/** @throws {StatusError} Forbidden: it is enforced, and the Pod is not up to it. */
function judgePod(request: AdmissionRequest, { enforce, audit, warn }: NamespacePolicy, pod: PodShape, enforces: boolean): void {
  const known = new Map<string, readonly Finding[]>();
  const findingsBy = (standard: Standard): readonly Finding[] => {
    const key = showStandard(standard);
    const findings = known.get(key) ?? evaluatePod(standard, pod);
    known.set(key, findings);
    return findings;
  };
  const about = (standard: Standard): string => `PodSecurity "${showStandard(standard)}": ${detailsOf(findingsBy(standard))}`;
  if (enforces) request.annotate(`${AUDIT_PREFIX}enforce-policy`, showStandard(enforce));
  if (findingsBy(audit).length > 0) request.annotate(`${AUDIT_PREFIX}audit-violations`, `would violate ${about(audit)}`);
  if (enforces && findingsBy(enforce).length > 0) throw refusal(request, `violates ${about(enforce)}`);
  if (findingsBy(warn).length > 0) request.warn(`would violate ${about(warn)}`);
}

/** @throws {StatusError} Invalid: labels that cannot be read, and could be before. */
async function judgeNamespace(
  reader: ObjectReader,
  { defaults, exemptions }: PodSecurityConfig,
  request: AdmissionRequest,
  namespace: JsonObject,
): Promise<void> {
  const name = stringAt(namespace, 'metadata', 'name');
  const { policy, faults } = policyOf(labelsOf(namespace), defaults);
  const old = request.oldObject === undefined ? undefined : policyOf(labelsOf(request.oldObject as unknown as JsonObject), defaults);
  if (faults.length > 0 && !semanticEqual(old?.faults ?? [], faults)) throw invalidObject({ group: '', kind: 'Namespace' }, name, faults);
  if (old === undefined) return;
  const { enforce } = policy;
  const before = old.policy.enforce;
  if (sameStandard(enforce, before) || enforce.level === 'privileged') return;
  if (enforce.minor === before.minor && !isStricter(enforce.level, before.level)) return;
  if (exemptions.namespaces.includes(name)) return;
  for (const warning of await warningsOf(reader, exemptions, name, enforce)) request.warn(warning);
}

/** What stands in the namespace already and would not be let in now; the same fault of several Pods once. */
async function warningsOf(
  reader: ObjectReader,
  { runtimeClasses }: PodSecurityExemptions,
  namespace: string,
  standard: Standard,
): Promise<readonly string[]> {
  const pods = ((await reader.list('', 'pods', { namespace })) as readonly unknown[] as readonly JsonObject[]).filter(
    (pod) => !runtimeClasses.includes(stringAt(pod, 'spec', 'runtimeClassName')),
  );
  const checked = oneOfEachFirst(pods).slice(0, PODS_MAX);
  const byReason = new Map<string, string[]>();
  for (const pod of checked) {
    const findings = evaluatePod(standard, { metadata: objectAt(pod, 'metadata') ?? {}, spec: objectAt(pod, 'spec') ?? {} });
    if (findings.length === 0) continue;
    const reason = reasonsOf(findings);
    byReason.set(reason, [...(byReason.get(reason) ?? []), stringAt(pod, 'metadata', 'name')]);
  }
  const lines = [...byReason].map(([reason, names]) => {
    const [first = ''] = names.toSorted();
    const others = names.length - 1;
    const more = others === 0 ? '' : ` (and ${others} other ${others === 1 ? 'pod' : 'pods'})`;
    return `${first}${more}: ${reason}`;
  });
  return [
    ...(checked.length < pods.length
      ? [`new PodSecurity enforce level only checked against the first ${checked.length} of ${pods.length} existing pods`]
      : []),
    ...(lines.length > 0
      ? [`existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${showStandard(standard)}"`]
      : []),
    ...lines.sort(),
  ];
}

/** Pods of one controller are alike as a rule, so that others go before its second. */
function oneOfEachFirst(pods: readonly JsonObject[]): readonly JsonObject[] {
  const seen = new Set<string>();
  const isRepeat = (pod: JsonObject): boolean => {
    const owner = objectsAt(pod, 'metadata', 'ownerReferences').find(({ controller }) => controller === true);
    if (owner === undefined) return false;
    const uid = stringAt(owner, 'uid');
    const known = seen.has(uid);
    seen.add(uid);
    return known;
  };
  const repeats: JsonObject[] = [];
  const firsts = pods.filter((pod) => {
    const again = isRepeat(pod);
    if (again) repeats.push(pod);
    return !again;
  });
  return [...firsts, ...repeats];
}

function exemptionOf(
  { namespaces, usernames, runtimeClasses }: PodSecurityExemptions,
  { namespace, user }: AdmissionRequest,
  shape: JsonObject | undefined,
): string | undefined {
  if (namespaces.includes(namespace)) return 'namespace';
  if (usernames.includes(user.name)) return 'user';
  return runtimeClasses.includes(stringAt(shape, 'spec', 'runtimeClassName')) ? 'runtimeClass' : undefined;
}

/** Of what an update of a Pod can change, only other images and new containers matter. */
function changesContainers(pod: JsonObject, old: JsonObject): boolean {
  return ['containers', 'initContainers', 'ephemeralContainers'].some((list) => {
    const images = (of: JsonObject): readonly string[] =>
      objectsAt(of, 'spec', list).map((one) => `${stringAt(one, 'name')} ${stringAt(one, 'image')}`);
    return !semanticEqual(images(pod), images(old));
  });
}

async function policyIn(reader: ObjectReader, name: string, defaults: NamespacePolicy): Promise<ReturnType<typeof policyOf>> {
  const namespace =
    (await reader.get('', 'namespaces', undefined, name)) ?? (await reader.get('', 'namespaces', undefined, name, { fresh: true }));
  return policyOf(labelsOf((namespace ?? {}) as unknown as JsonObject), defaults);
}

function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  return (objectAt(object, 'metadata', 'labels') ?? {}) as Readonly<Record<string, string>>;
}
