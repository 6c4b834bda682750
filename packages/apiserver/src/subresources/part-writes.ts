import type { JsonObject } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { decodeObject } from '../registry/object-decoder.ts';
import { metaOf, metaText, section, setOrRemove } from '../registry/object-meta.ts';
import { patchRequest } from '../registry/patch-request.ts';
import { parseWriteOptions } from '../registry/write-options.ts';
import type { ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import type { SubresourceDeps } from './deps.ts';

/** PUT `namespaces/NAME/finalize`: only `spec.finalizers` count. The Namespace goes when they and its deletion allow. */
export function finalizeHandler(deps: SubresourceDeps): ResourceHandler {
  return partHandler(
    deps,
    (old, sent) => {
      const { finalizers } = section(sent, 'spec');
      const spec = { ...section(old, 'spec') };
      setOrRemove(spec, 'finalizers', finalizers);
      old.spec = spec;
      return old;
    },
    true,
  );
}

/** PUT and PATCH `certificatesigningrequests/NAME/approval`: metadata and conditions. The rest stays. */
export function approvalHandler(deps: SubresourceDeps): ResourceHandler {
  const merge: Merge = (old, sent) => {
    const now = rfc3339Seconds(deps.clock.now());
    const known = conditionsOf(old);
    const conditions = conditionsOf(sent).map((condition) => {
      const same = known.find(({ type, status }) => type === condition.type && status === condition.status);
      return {
        ...condition,
        lastUpdateTime: condition.lastUpdateTime ?? now,
        lastTransitionTime: condition.lastTransitionTime ?? same?.lastTransitionTime ?? now,
      };
    });
    return { ...old, metadata: metaOf(sent), status: { ...section(old, 'status'), conditions } };
  };
  return partHandler(deps, merge, false);
}

/** Takes from what was sent the part that may change. @param old Private. */
type Merge = (old: JsonObject, sent: JsonObject) => JsonObject;

/** A write of one part of an object. @param trusted Skips the kind's own validation. */
function partHandler({ router, writer, reader, book, clock }: SubresourceDeps, merge: Merge, trusted: boolean): ResourceHandler {
  return async (call, kind) => {
    const target = router.registryCall(call, kind);
    const { request, info } = call;
    if (info.verb === 'get') return router.present(call, kind, (await reader.get(target, undefined)).object);
    const agent = request.headers['user-agent'] ?? '';
    const withVersion = (old: JsonObject, sent: JsonObject): JsonObject => {
      const merged = merge(structuredClone(old), sent);
      const resourceVersion = metaText(sent, 'resourceVersion');
      if (resourceVersion !== '') metaOf(merged).resourceVersion = resourceVersion;
      return merged;
    };
    if (info.verb === 'patch') {
      const { options, change } = patchRequest(target, request, await request.body(), 'any', book, () => rfc3339Seconds(clock.now()));
      const transform = async (old: JsonObject): Promise<JsonObject> => withVersion(old, await change.transform(structuredClone(old)));
      return router.present(call, kind, (await writer.change(target, options, { ...change, part: 'any', trusted, transform })).object);
    }
    if (info.verb !== 'update') throw unsupportedMethod(kind.definition);
    const options = parseWriteOptions(request.query, agent, 'UpdateOptions');
    const sent = decodeObject(target, await router.body(call), options.fieldValidation, book);
    const written = await writer.change(target, options, {
      part: 'any',
      trusted,
      retries: metaText(sent, 'resourceVersion') === '',
      transform: (old) => withVersion(old, sent),
    });
    return router.present(call, kind, written.object);
  };
}

function conditionsOf(object: JsonObject): JsonObject[] {
  const { conditions } = section(object, 'status');
  return Array.isArray(conditions) ? (conditions as JsonObject[]) : [];
}
