/** AdmissionReview as webhooks get and give it. @see https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ */
import { fromJsonText, isJsonObject, type Json, type JsonObject, type Status, StatusError, statusFrom } from '@dure/api';
import { requestOf } from '../matching/expression-input.ts';
import type { Match, VersionedRequest } from '../matching/versioned-request.ts';

export interface Verdict {
  readonly allowed: boolean;
  /** Why not, as the webhook says it. */
  readonly status: Status | undefined;
  /** Decoded JSON of the patch; `undefined`: there is none. */
  readonly patch: Json | undefined;
  readonly auditAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** The webhook's answer is no AdmissionReview that answers the question. Upstream's words. */
export class InvalidReviewError extends Error {
  override readonly name = 'InvalidReviewError';
  readonly code = 'WEBHOOK_REVIEW_INVALID';
}

export async function admissionReview(seen: VersionedRequest, match: Match, version: 'v1' | 'v1beta1', uid: string): Promise<JsonObject> {
  const [object, oldObject] = await Promise.all([seen.object(match), seen.oldObject(match)]);
  return {
    kind: 'AdmissionReview',
    apiVersion: `admission.k8s.io/${version}`,
    request: { uid, options: null, ...requestOf(seen, match), object: object ?? null, oldObject: oldObject ?? null },
  };
}

/** @throws {InvalidReviewError} */
export function parseVerdict(answer: unknown, version: 'v1' | 'v1beta1', uid: string, mutating: boolean): Verdict {
  const review = isJsonObject(answer) ? answer : {};
  const wanted = `admission.k8s.io/${version}`;
  const response = review.response;
  if (version === 'v1') {
    if (!isJsonObject(response)) throw new InvalidReviewError('webhook response was absent');
    if (response.uid !== uid)
      throw new InvalidReviewError(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
    if (review.apiVersion !== wanted || review.kind !== 'AdmissionReview') {
      throw new InvalidReviewError(
        `expected webhook response of ${wanted}, Kind=AdmissionReview, got ${String(review.apiVersion ?? '')}, Kind=${String(review.kind ?? '')}`,
      );
    }
  } else if (!isJsonObject(response)) throw new InvalidReviewError('webhook response was absent');
  const patch = patchText(response, version, mutating);
  return {
    allowed: response.allowed === true,
    status: statusOf(response.status),
    patch: patch === '' ? undefined : decodedPatch(patch),
    auditAnnotations: texts(response.auditAnnotations),
    warnings: Array.isArray(response.warnings) ? response.warnings.filter((warning) => typeof warning === 'string') : [],
  };
}

/** Base64, or '' where there is none. */
function patchText(response: JsonObject, version: 'v1' | 'v1beta1', mutating: boolean): string {
  const patch = typeof response.patch === 'string' ? response.patch : '';
  const type = response.patchType ?? undefined;
  if (version === 'v1beta1') return mutating ? patch : '';
  if (!mutating) {
    if (patch !== '') throw new InvalidReviewError('validating webhook may not return response.patch');
    if (type !== undefined) throw new InvalidReviewError('validating webhook may not return response.patchType');
    return '';
  }
  if (patch !== '' && type === undefined) throw new InvalidReviewError('webhook returned response.patch but not response.patchType');
  if (patch === '' && type !== undefined) throw new InvalidReviewError('webhook returned response.patchType but not response.patch');
  if (type === '') throw new InvalidReviewError('webhook returned invalid response.patchType of ""');
  if (type !== undefined && type !== 'JSONPatch')
    throw new InvalidReviewError(`unsupported patch type ${JSON.stringify(type)}; only JSONPatch is supported`);
  return patch;
}

function decodedPatch(base64: string): Json {
  try {
    return fromJsonText(Buffer.from(base64, 'base64').toString('utf8')) as Json;
  } catch (cause) {
    throw new InvalidReviewError(`the patch is no JSON: ${(cause as Error).message}`, { cause });
  }
}

function statusOf(value: Json | undefined): Status | undefined {
  if (!isJsonObject(value)) return undefined;
  return statusFrom({ ...value, kind: 'Status', apiVersion: 'v1' });
}

function texts(value: Json | undefined): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** What the client is told when a webhook says no: at least 400, and with the webhook's name in front. */
export function refusalBy(name: string, status: Status | undefined): StatusError {
  const deniedBy = `admission webhook ${JSON.stringify(name)} denied the request`;
  const said = status?.message ?? '';
  const reason = status?.reason ?? '';
  const message = said !== '' ? `${deniedBy}: ${said}` : reason !== '' ? `${deniedBy}: ${reason}` : `${deniedBy} without explanation`;
  const code = status?.code ?? 0;
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    ...status,
    status: 'Failure',
    message,
    code: Math.max(code, 400),
  } as Status);
}
