import { badRequest, fieldSelector, formatLabelSelector, invalidObject, type JsonObject, type ServedKind } from '@dure/api';
import type { AuthorizationQuery } from '../contract/authorizer.ts';
import type { UserInfo } from '../contract/user.ts';
import { section } from '../registry/object-meta.ts';
import { parseWriteOptions } from '../registry/write-options.ts';
import type { ResourceCall, ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import { admitBody } from '../subresources/admitted-body.ts';
import { readBody } from '../subresources/body-kind.ts';
import type { SubresourceDeps } from '../subresources/deps.ts';
import { userToJson } from './user-json.ts';

type AccessReviewKind = 'SubjectAccessReview' | 'SelfSubjectAccessReview' | 'LocalSubjectAccessReview';

/** The review that was sent, as admission lets it pass. @throws {StatusError} */
async function admittedReview({ router, book, admission }: SubresourceDeps, call: ResourceCall, kind: ServedKind): Promise<JsonObject> {
  if (call.info.verb !== 'create') throw unsupportedMethod(kind.definition);
  const review = await readBody(call, router, kind, book);
  const { query, headers } = call.request;
  const options = parseWriteOptions(query, headers['user-agent'] ?? '', 'CreateOptions');
  await admitBody(admission, router.registryCall(call, kind), { kind, operation: 'CREATE', object: review }, options);
  return review;
}

/** POST `tokenreviews`: whose token is this? */
export function tokenReviewHandler(deps: SubresourceDeps): ResourceHandler {
  const { router, authenticator } = deps;
  return async (call, kind) => {
    const review = await admittedReview(deps, call, kind);
    const { token, audiences } = section(review, 'spec');
    if (typeof token !== 'string' || token === '') throw badRequest('token is required for TokenReview in authentication');
    const wanted = Array.isArray(audiences) ? audiences.filter((audience) => typeof audience === 'string') : [];
    const { authenticated, error } = await authenticator.reviewToken(token, wanted, call.signal);
    review.status = {
      ...(authenticated === undefined
        ? { user: {} }
        : {
            authenticated: true,
            user: userToJson(authenticated.user),
            ...(authenticated.audiences === undefined ? {} : { audiences: [...authenticated.audiences] }),
          }),
      ...(error === undefined ? {} : { error }),
    };
    return router.present(call, kind, review, 201);
  };
}

/** POST to one of the three access reviews: may they? */
export function accessReviewHandler(deps: SubresourceDeps): ResourceHandler {
  const { router, authorizer } = deps;
  return async (call, kind) => {
    const review = await admittedReview(deps, call, kind);
    const spec = section(review, 'spec');
    const query = accessQuery(kind.definition.kind as AccessReviewKind, spec, call);
    const status: JsonObject = { allowed: false };
    try {
      const { decision, reason } = await authorizer.authorize(query, call.signal);
      status.allowed = decision === 'allow';
      if (decision === 'deny') status.denied = true;
      if (reason !== undefined && reason !== '') status.reason = reason;
    } catch (error) {
      call.signal.throwIfAborted();
      status.evaluationError = (error as Error).message;
    }
    review.status = status;
    return router.present(call, kind, review, 201);
  };
}

/** POST `selfsubjectrulesreviews`: what may I do in this namespace? */
export function rulesReviewHandler(deps: SubresourceDeps): ResourceHandler {
  const { router, authorizer } = deps;
  return async (call, kind) => {
    const review = await admittedReview(deps, call, kind);
    const { namespace } = section(review, 'spec');
    if (typeof namespace !== 'string' || namespace === '') throw badRequest('no namespace on request');
    const summary = await authorizer.rulesFor(call.user, namespace, call.signal);
    review.status = structuredClone(summary) as unknown as JsonObject;
    return router.present(call, kind, review, 201);
  };
}

/** POST `selfsubjectreviews`: who am I? */
export function selfReviewHandler(deps: SubresourceDeps): ResourceHandler {
  const { router } = deps;
  return async (call, kind) => {
    const review = await admittedReview(deps, call, kind);
    review.status = { userInfo: userToJson(call.user) };
    return router.present(call, kind, review, 201);
  };
}

/** The question that a review asks. @throws {StatusError} Invalid. */
function accessQuery(reviewKind: AccessReviewKind, spec: JsonObject, call: ResourceCall): AuthorizationQuery {
  const resource = spec.resourceAttributes;
  const path = spec.nonResourceAttributes;
  const fail: Fail = (field, value, detail) => {
    throw invalidObject({ group: 'authorization.k8s.io', kind: reviewKind }, '', [
      { reason: 'FieldValueInvalid', field, message: `Invalid value: ${value}: ${detail}` },
    ]);
  };
  if ((resource === undefined) === (path === undefined)) {
    fail('spec.resourceAttributes', 'null', 'exactly one of nonResourceAttributes or resourceAttributes must be specified');
  }
  const user = reviewKind === 'SelfSubjectAccessReview' ? call.user : subjectOf(spec);
  if (user.name === '' && user.groups.length === 0) fail('spec.user', '""', 'at least one of user or group must be specified');
  if (path !== undefined) {
    if (reviewKind === 'LocalSubjectAccessReview') fail('spec.nonResourceAttributes', 'null', 'disallowed on this kind of request');
    const attributes = section(spec, 'nonResourceAttributes');
    return { kind: 'path', user, verb: text(attributes, 'verb'), path: text(attributes, 'path') };
  }
  const attributes = section(spec, 'resourceAttributes');
  const namespace = text(attributes, 'namespace');
  if (reviewKind === 'LocalSubjectAccessReview' && namespace !== call.info.namespace) {
    fail('spec.resourceAttributes.namespace', JSON.stringify(namespace), 'must match metadata.namespace');
  }
  return {
    kind: 'resource',
    user,
    verb: text(attributes, 'verb'),
    group: text(attributes, 'group'),
    version: text(attributes, 'version'),
    resource: text(attributes, 'resource'),
    subresource: text(attributes, 'subresource'),
    namespace,
    name: text(attributes, 'name'),
    ...selectorsOf(attributes, fail),
  };
}

type Fail = (field: string, value: string, detail: string) => never;

/** The selectors of a question about a list, as the request itself would carry them. */
function selectorsOf(attributes: JsonObject, fail: Fail): { fieldSelector?: string; labelSelector?: string } {
  const textOf = (name: 'fieldSelector' | 'labelSelector', render: (requirements: readonly SelectorRequirement[]) => string): object => {
    if (attributes[name] === undefined) return {};
    const { rawSelector, requirements } = section(attributes, name);
    const path = `spec.resourceAttributes.${name}`;
    const list = Array.isArray(requirements) ? (requirements as unknown as readonly SelectorRequirement[]) : [];
    const raw = typeof rawSelector === 'string' ? rawSelector : '';
    if (raw !== '' && list.length > 0)
      fail(`${path}.rawSelector`, JSON.stringify(raw), 'may not specified at the same time as requirements');
    if (raw === '' && list.length === 0)
      fail(`${path}.requirements`, 'null', `when ${path} is specified, requirements or rawSelector is required`);
    return { [name]: raw === '' ? render(list) : raw };
  };
  return {
    ...textOf('fieldSelector', renderFields),
    ...textOf('labelSelector', (matchExpressions) => formatLabelSelector({ matchExpressions })),
  };
}

interface SelectorRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: string[];
}

/** What a field selector cannot say is left out: the question becomes one about more, and no answer to that allows too much. */
function renderFields(requirements: readonly SelectorRequirement[]): string {
  return fieldSelector(
    requirements.flatMap(({ key, operator, values = [] }) => {
      const [value, ...more] = values;
      if (value === undefined || more.length > 0 || (operator !== 'In' && operator !== 'NotIn')) return [];
      return [{ field: key, operator: operator === 'In' ? ('=' as const) : ('!=' as const), value }];
    }),
  ).toString();
}

function subjectOf(spec: JsonObject): UserInfo {
  const { groups } = spec;
  const extra = section(spec, 'extra') as Record<string, string[]>;
  const uid = text(spec, 'uid');
  return {
    name: text(spec, 'user'),
    groups: Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [],
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0
      ? {}
      : { extra: Object.fromEntries(Object.entries(extra).map(([key, value]) => [key.toLowerCase(), value])) }),
  };
}

function text(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === 'string' ? value : '';
}
