/** For tests of admission plugins: requests, what they read, and both stages run. */
import type { JsonObject, KubeObject } from '@dure/api';
import { type AdmissionPlugin, admissionChain } from '../admission/admission-chain.ts';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';

const admin: UserInfo = { name: 'admin', groups: ['system:masters'] };
const signal = new AbortController().signal;

/** Reads `objects`, by `group/resource`. */
export function readerOf(objects: Readonly<Record<string, readonly unknown[]>>): ObjectReader {
  const all = (group: string, resource: string) => (objects[`${group}/${resource}`] ?? []) as readonly KubeObject[];
  return {
    get: async (group, resource, namespace, name) =>
      all(group, resource).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
    list: async (group, resource, { namespace, where = () => true } = {}) =>
      all(group, resource).filter((object) => (namespace === undefined || object.metadata.namespace === namespace) && where(object)),
    peek: () => undefined,
    revisionOf: () => 0,
  };
}

/** A create by an administrator in namespace `default`, but for what `more` says. */
export function createRequest(resource: string, object: JsonObject, more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    operation: 'CREATE',
    group: '',
    version: 'v1',
    kind: '',
    resource,
    subresource: '',
    namespace: 'default',
    name: '',
    object: structuredClone(object),
    options: {},
    dryRun: false,
    user: admin,
    warn() {},
    annotate() {},
    ...more,
  };
}

/** An update from `oldObject` to `object`. */
export function updateRequest(
  resource: string,
  oldObject: JsonObject,
  object: JsonObject,
  more: Partial<AdmissionRequest> = {},
): AdmissionRequest {
  return createRequest(resource, object, { operation: 'UPDATE', oldObject: oldObject as unknown as KubeObject, ...more });
}

/** Runs both stages and gives the object as it would be stored. @throws {StatusError} It is refused. */
export async function admit(plugin: AdmissionPlugin, request: AdmissionRequest): Promise<JsonObject> {
  const chain = admissionChain([plugin]);
  await chain.mutate(request, signal);
  await chain.validate(request, signal);
  return request.object ?? {};
}
