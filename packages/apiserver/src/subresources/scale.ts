import {
  badRequest,
  compileLabelSelector,
  invalidObject,
  type JsonObject,
  type LabelSelectorObject,
  type SchemaBook,
  type ServedKind,
  scaleColumns,
} from '@dure/api';
import { cloneObject, fromStorage } from '../registry/conversion.ts';
import { decodeObject } from '../registry/object-decoder.ts';
import { metaOf, setAt, valueAt } from '../registry/object-meta.ts';
import { parsePatch, patched } from '../registry/patch.ts';
import type { RegistryCall } from '../registry/scope.ts';
import { parseWriteOptions } from '../registry/write-options.ts';
import type { ResourceHandler } from '../request/call.ts';
import { unknownPath, unsupportedMethod } from '../request/status-response.ts';
import { admitBody } from './admitted-body.ts';
import type { SubresourceDeps } from './deps.ts';

const SCALE_SCHEMA = { ref: 'io.k8s.api.autoscaling.v1.Scale' } as const;

/** `scale` of every kind that says where its replicas are. */
export function scaleHandler({ reader, writer, router, admission, book }: SubresourceDeps): ResourceHandler {
  return async (call, kind) => {
    const { scale } = kind.definition;
    if (scale === undefined) throw unknownPath();
    const target = router.registryCall(call, kind);
    const { request, info } = call;
    const shown = scaleKind(kind);
    if (info.verb === 'get') {
      const stored = await reader.get(target, undefined);
      return router.present(call, shown, scaleOf(kind, fromStorage(kind, stored.object as unknown as JsonObject)));
    }
    if (info.verb !== 'update' && info.verb !== 'patch') throw unsupportedMethod(kind.definition);
    const scaleCall: RegistryCall = { ...target, kind: shown };
    const agent = request.headers['user-agent'] ?? '';
    const options = parseWriteOptions(request.query, agent, info.verb === 'update' ? 'UpdateOptions' : 'PatchOptions');
    const next =
      info.verb === 'update'
        ? await updated(scaleCall, call, router, book, options.fieldValidation)
        : await patchedScale(scaleCall, request, book, options.fieldValidation);
    const written = await writer.change(target, options, {
      part: 'main',
      retries: true,
      admitted: true,
      transform: async (old) => {
        const before = scaleOf(kind, old);
        const wanted = next(cloneObject(before));
        await admitBody(admission, target, { kind: shown, operation: 'UPDATE', object: wanted, oldObject: before }, options);
        const replicas = valueAt(wanted, 'spec.replicas') ?? 0;
        if (typeof replicas !== 'number' || replicas < 0) {
          throw invalidObject({ group: 'autoscaling', kind: 'Scale' }, target.name, [
            {
              reason: 'FieldValueInvalid',
              field: 'spec.replicas',
              message: `Invalid value: ${String(replicas)}: must be greater than or equal to 0`,
            },
          ]);
        }
        const object = cloneObject(old);
        const { resourceVersion } = metaOf(wanted);
        if (resourceVersion !== undefined) metaOf(object).resourceVersion = resourceVersion;
        setAt(object, scale.specReplicasPath, replicas);
        return object;
      },
    });
    return router.present(call, shown, scaleOf(kind, written.object));
  };
}

async function updated(
  scaleCall: RegistryCall,
  call: Parameters<ResourceHandler>[0],
  router: SubresourceDeps['router'],
  book: SchemaBook,
  validation: 'Strict' | 'Warn' | 'Ignore',
): Promise<(old: JsonObject) => JsonObject> {
  const sent = decodeObject(scaleCall, await router.body(call), validation, book);
  return () => cloneObject(sent);
}

async function patchedScale(
  scaleCall: RegistryCall,
  request: Parameters<ResourceHandler>[0]['request'],
  book: SchemaBook,
  validation: 'Strict' | 'Warn' | 'Ignore',
): Promise<(old: JsonObject) => JsonObject> {
  const patch = parsePatch(request.headers['content-type'], await request.body(), true);
  if (patch.kind === 'apply') {
    const { object } = patch;
    return () => decodeObject(scaleCall, { value: object, duplicates: [] }, validation, book);
  }
  return (old) => {
    const value = patched(patch, old, SCALE_SCHEMA, book);
    if (typeof value !== 'object' || value === null) throw badRequest('the patch leaves no object');
    return decodeObject(scaleCall, { value, duplicates: [] }, validation, book);
  };
}

/** The kind that the subresource shows and takes. */
function scaleKind({ definition }: ServedKind): ServedKind {
  const version = { name: 'v1', served: true, schema: SCALE_SCHEMA, columns: scaleColumns };
  return {
    definition: {
      ...definition,
      group: 'autoscaling',
      kind: 'Scale',
      listKind: 'ScaleList',
      versions: [version],
      storageVersion: 'v1',
      subresources: [],
      strategy: {},
    },
    version,
  };
}

/** The Scale that stands for `object`. Pure. */
function scaleOf({ definition }: ServedKind, object: JsonObject): JsonObject {
  const meta = metaOf(object);
  const { scale } = definition;
  const metadata: JsonObject = {};
  for (const field of ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp']) {
    const value = meta[field];
    if (value !== undefined) metadata[field] = value;
  }
  const selector = scale?.labelSelectorPath === undefined ? undefined : valueAt(object, scale.labelSelectorPath);
  const text =
    typeof selector === 'string'
      ? selector
      : selector === undefined || selector === null
        ? ''
        : selectorText(selector as LabelSelectorObject);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata,
    spec: { replicas: numberAt(object, scale?.specReplicasPath) },
    status: { replicas: numberAt(object, scale?.statusReplicasPath), ...(text === '' ? {} : { selector: text }) },
  };
}

/** ReplicationControllers hold plain labels where others hold a LabelSelector. */
function selectorText(selector: LabelSelectorObject | Readonly<Record<string, string>>): string {
  const isObject = 'matchLabels' in selector || 'matchExpressions' in selector;
  return compileLabelSelector(
    isObject ? (selector as LabelSelectorObject) : { matchLabels: selector as Readonly<Record<string, string>> },
  ).toString();
}

function numberAt(object: JsonObject, path: string | undefined): number {
  const value = path === undefined ? undefined : valueAt(object, path);
  // Narrowed as in Go: whatever a custom object holds there, clients read an int32.
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value)) ? Number(BigInt.asIntN(32, BigInt(value))) : 0;
}
