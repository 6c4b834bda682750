import { badRequest, conflict, invalidObject, type Json, type JsonObject, type KubeObject, semanticEqual, successStatus } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { jsonResponse } from '../http/exchange.ts';
import { decodeObject } from '../registry/object-decoder.ts';
import { metaOf, metaText, section } from '../registry/object-meta.ts';
import { patchRequest } from '../registry/patch-request.ts';
import { parseDeleteOptions, parseWriteOptions } from '../registry/write-options.ts';
import type { UpdateRequest } from '../registry/writer.ts';
import type { ResourceCall, ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import { admitBody } from './admitted-body.ts';
import { readBody, transientKind } from './body-kind.ts';
import type { SubresourceDeps } from './deps.ts';

const PODS = { group: '', resource: 'pods' } as const;
const BINDING = transientKind('', 'v1', 'Binding', 'io.k8s.api.core.v1.Binding');
const EVICTION = transientKind('policy', 'v1', 'Eviction', 'io.k8s.api.policy.v1.Eviction');

/** POST `pods/NAME/binding`: puts the Pod on a node. Also serves POST `bindings`, which names the Pod in its body. */
export function bindingHandler({ router, writer, admission, kinds, book, clock }: SubresourceDeps): ResourceHandler {
  return async (call) => {
    if (call.info.verb !== 'create') throw unsupportedMethod(PODS);
    const binding = await readBody(call, router, BINDING, book);
    const name = call.info.name === '' ? metaText(binding, 'name') : call.info.name;
    const pods = kinds.resource('', 'v1', 'pods');
    if (pods === undefined) throw badRequest('no Pods are served');
    const options = parseWriteOptions(call.request.query, call.request.headers['user-agent'] ?? '', 'CreateOptions');
    const asked = { ...router.registryCall(call, pods), name, subresource: 'binding' };
    await admitBody(admission, asked, { kind: BINDING, operation: 'CREATE', object: binding }, options);
    const target = section(binding, 'target');
    const nodeName = target.name;
    if (target.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
      throw invalidObject({ group: '', kind: 'Binding' }, name, [
        {
          reason: 'FieldValueNotSupported',
          field: 'target.kind',
          message: `Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node"`,
        },
      ]);
    }
    if (typeof nodeName !== 'string' || nodeName === '') {
      throw invalidObject({ group: '', kind: 'Binding' }, name, [
        { reason: 'FieldValueRequired', field: 'target.name', message: 'Required value' },
      ]);
    }
    const annotations = section(metaOf(binding), 'annotations');
    const labels = section(metaOf(binding), 'labels');
    const uid = metaText(binding, 'uid');
    await writer.change(asked, options, {
      part: 'any',
      trusted: true,
      admitted: true,
      retries: true,
      ...(uid === '' ? {} : { preconditions: { uid } }),
      transform: (pod) => bound(pod, nodeName, labels, annotations, rfc3339Seconds(clock.now())),
    });
    return jsonResponse(201, { ...successStatus({}), details: undefined, code: 201 });
  };
}

/** @throws {StatusError} Conflict: the Pod is bound, going, or not to be scheduled yet. */
function bound(pod: JsonObject, nodeName: string, labels: JsonObject, annotations: JsonObject, now: string): JsonObject {
  const name = metaText(pod, 'name');
  const spec = section(pod, 'spec');
  if (metaText(pod, 'deletionTimestamp') !== '') throw conflict(PODS, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (typeof spec.nodeName === 'string' && spec.nodeName !== '') {
    throw conflict(PODS, name, `pod ${name} is already assigned to node ${JSON.stringify(spec.nodeName)}`);
  }
  const gates = spec.schedulingGates;
  if (Array.isArray(gates) && gates.length > 0) throw conflict(PODS, name, `pod ${name} has non-empty .spec.schedulingGates`);
  const meta = metaOf(pod);
  spec.nodeName = nodeName;
  if (Object.keys(annotations).length > 0) meta.annotations = { ...section(meta, 'annotations'), ...annotations };
  if (Object.keys(labels).length > 0) meta.labels = { ...section(meta, 'labels'), ...labels };
  return withCondition(pod, { type: 'PodScheduled' }, now);
}

/** What workload controllers tell evictions from failures by. */
const EVICTED = { type: 'DisruptionTarget', reason: 'EvictionByEvictionAPI', message: 'Eviction API: evicting' };

/** The Pod with a condition that holds since now. */
function withCondition(pod: JsonObject, condition: JsonObject, now: string): JsonObject {
  const status = section(pod, 'status');
  const conditions = Array.isArray(status.conditions) ? status.conditions : [];
  const { generation } = metaOf(pod);
  status.conditions = [
    ...conditions.filter((other) => (other as JsonObject).type !== condition.type),
    {
      ...condition,
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: now,
      ...(typeof generation === 'number' ? { observedGeneration: generation } : {}),
    },
  ];
  pod.status = status;
  return pod;
}

/** POST `pods/NAME/eviction`: a delete that PodDisruptionBudgets may refuse. */
export function evictionHandler({ router, writer, reader, admission, kinds, book, clock, eviction }: SubresourceDeps): ResourceHandler {
  return async (call) => {
    const pods = kinds.resource('', 'v1', 'pods');
    if (call.info.verb !== 'create' || pods === undefined) throw unsupportedMethod(PODS);
    const body = await readBody(call, router, EVICTION, book);
    const sentName = metaText(body, 'name');
    if (sentName !== '' && sentName !== call.info.name) throw badRequest('name in URL does not match name in Eviction object');
    const options = parseDeleteOptions(call.request.query, body.deleteOptions);
    const target = { ...router.registryCall(call, pods), subresource: 'eviction' };
    await admitBody(admission, target, { kind: EVICTION, operation: 'CREATE', object: body }, options);
    const { object: pod } = await reader.get(target, undefined);
    if (needsGuard(pod)) await eviction?.allow(pod, options.dryRun, call.signal);
    if (!options.dryRun) {
      const writing = parseWriteOptions(call.request.query, call.request.headers['user-agent'] ?? '', 'UpdateOptions');
      await writer.change(target, writing, {
        part: 'any',
        trusted: true,
        admitted: true,
        retries: true,
        preconditions: { uid: pod.metadata.uid },
        transform: (stored) => withCondition(stored, EVICTED, rfc3339Seconds(clock.now())),
      });
    }
    await writer.delete(target, { ...options, preconditions: { uid: pod.metadata.uid, ...options.preconditions } }, true);
    return jsonResponse(201, { ...successStatus({}), details: undefined, code: 201 });
  };
}

/** A Pod that has ended, is going, or never got a node disrupts nobody. */
function needsGuard(pod: KubeObject): boolean {
  const { status, metadata } = pod as KubeObject & { readonly status?: { readonly phase?: string } };
  const phase = status?.phase ?? '';
  return metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending';
}

/** Takes from the sent Pod what a subresource of `pods` may change, and leaves the rest. */
export type PodMerge = (old: JsonObject, sent: JsonObject) => JsonObject;

/** GET, PUT and PATCH of a part of a Pod. */
export function podPartHandler({ router, writer, reader, book, clock }: SubresourceDeps, merge: PodMerge): ResourceHandler {
  return async (call, kind) => {
    const target = router.registryCall(call, kind);
    if (call.info.verb === 'get') {
      const stored = await reader.get(target, undefined);
      return router.present(call, kind, stored.object);
    }
    const { options, change } = await changeOf({ router, book, clock }, call, target, kind);
    const written = await writer.change(target, options, {
      ...change,
      part: 'any',
      trusted: true,
      transform: async (old) => merge(structuredClone(old), await change.transform(old)),
    });
    return router.present(call, kind, written.object);
  };
}

async function changeOf(
  { router, book, clock }: Pick<SubresourceDeps, 'router' | 'book' | 'clock'>,
  call: ResourceCall,
  target: ReturnType<SubresourceDeps['router']['registryCall']>,
  kind: Parameters<ResourceHandler>[1],
): Promise<{ readonly options: ReturnType<typeof parseWriteOptions>; readonly change: UpdateRequest }> {
  const { request, info } = call;
  if (info.verb === 'patch') return patchRequest(target, request, await request.body(), 'any', book, () => rfc3339Seconds(clock.now()));
  if (info.verb !== 'update') throw unsupportedMethod(kind.definition);
  const options = parseWriteOptions(request.query, request.headers['user-agent'] ?? '', 'UpdateOptions');
  const sent = decodeObject(target, await router.body(call), options.fieldValidation, book);
  return { options, change: { part: 'any', retries: metaText(sent, 'resourceVersion') === '', transform: () => structuredClone(sent) } };
}

/** `pods/NAME/ephemeralcontainers`: adds debug containers; those that stand there stay as they are. @throws {StatusError} Invalid. */
export function mergeEphemeralContainers(old: JsonObject, sent: JsonObject): JsonObject {
  const before = listOf(section(old, 'spec').ephemeralContainers);
  const after = listOf(section(sent, 'spec').ephemeralContainers);
  for (const container of before) {
    const kept = after.find((candidate) => nameOf(candidate) === nameOf(container));
    if (kept === undefined) {
      throw invalidObject({ group: '', kind: 'Pod' }, metaText(old, 'name'), [
        {
          reason: 'FieldValueForbidden',
          field: 'spec.ephemeralContainers',
          message: `Forbidden: existing ephemeral containers ${JSON.stringify(nameOf(container))} may not be removed`,
        },
      ]);
    }
  }
  const taken = new Set([...listOf(section(old, 'spec').containers), ...listOf(section(old, 'spec').initContainers)].map(nameOf));
  const seen = new Set<string>();
  for (const [index, container] of after.entries()) {
    const name = nameOf(container);
    if (name === '') {
      throw invalidObject({ group: '', kind: 'Pod' }, metaText(old, 'name'), [
        { reason: 'FieldValueRequired', field: `spec.ephemeralContainers[${index}].name`, message: 'Required value' },
      ]);
    }
    if (taken.has(name) || seen.has(name)) {
      throw invalidObject({ group: '', kind: 'Pod' }, metaText(old, 'name'), [
        {
          reason: 'FieldValueDuplicate',
          field: `spec.ephemeralContainers[${index}].name`,
          message: `Duplicate value: ${JSON.stringify(name)}`,
        },
      ]);
    }
    seen.add(name);
  }
  const merged = after.map((container) => before.find((candidate) => nameOf(candidate) === nameOf(container)) ?? container);
  const spec = { ...section(old, 'spec'), ephemeralContainers: merged };
  return withVersion(withSpec(old, spec), sent);
}

/** `pods/NAME/resize`: new resources for the containers that stand there. */
export function mergeResize(old: JsonObject, sent: JsonObject): JsonObject {
  const spec = structuredClone(section(old, 'spec'));
  for (const list of ['containers', 'initContainers']) {
    const wanted = listOf(section(sent, 'spec')[list]);
    for (const container of listOf(spec[list])) {
      const next = wanted.find((candidate) => nameOf(candidate) === nameOf(container));
      for (const field of ['resources', 'resizePolicy']) if (next?.[field] !== undefined) container[field] = next[field];
    }
  }
  return withVersion(withSpec(old, spec), sent);
}

/** The Pod with another spec, which its generation counts if it says something else. */
function withSpec(pod: JsonObject, spec: JsonObject): JsonObject {
  const meta = metaOf(pod);
  if (typeof meta.generation === 'number' && !semanticEqual(pod.spec, spec)) meta.generation += 1;
  pod.spec = spec;
  return pod;
}

function withVersion(old: JsonObject, sent: JsonObject): JsonObject {
  const { resourceVersion } = metaOf(sent);
  if (resourceVersion !== undefined) metaOf(old).resourceVersion = resourceVersion;
  return old;
}

function listOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

function nameOf(container: JsonObject): string {
  return typeof container.name === 'string' ? container.name : '';
}
