import {
  equalJson,
  isJsonObject,
  type JsonObject,
  type KindDefinition,
  listAt,
  numberAt,
  objectAt,
  StatusError,
  stringAt,
  stringsAt,
  type VersionConverter,
  validateAnnotations,
  validateLabels,
} from '@dure/api';
import { abortable, type Random, uuid } from '@dure/foundation';
import type { WebhookClient, WebhookTarget } from '../connect/webhook-client.ts';
import { apiVersionOf } from '../registry/scope.ts';
import { deepFreeze } from '../registry/stored-object.ts';

export interface ConversionDeps {
  readonly webhooks: WebhookClient;
  readonly random: Random;
}

const REVIEW_GROUP = 'apiextensions.k8s.io';
const REVIEW_VERSIONS: ReadonlySet<string> = new Set(['v1', 'v1beta1']);
const TIMEOUT_MS = 30_000;
/** So many objects go into one request: a long list must neither make one that no webhook takes, nor one for each. */
const BATCH_MAX = 250;
/** Requests that one caller has under way. */
const BATCHES_AT_ONCE = 4;
/** Bound on the memory of an answer; a batch of the largest objects there can be does not fit, and is refused. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;

/**
 * `kind`, made from `definition`, with the webhook that converts its objects; `kind` itself where versions share their objects.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
 */
export function withConversion(kind: KindDefinition, definition: JsonObject, deps: ConversionDeps): KindDefinition {
  const conversion = objectAt(definition, 'spec', 'conversion');
  if (stringAt(conversion, 'strategy') !== 'Webhook') return kind;
  const webhook = objectAt(conversion, 'webhook');
  const source: Source = {
    kind,
    target: targetOf(objectAt(webhook, 'clientConfig')),
    reviewVersions: stringsAt(webhook, 'conversionReviewVersions'),
  };
  const versions = kind.versions.map((version) => ({
    ...version,
    converter: new WebhookConverter(apiVersionOf({ definition: kind, version }), source, deps),
  }));
  return Object.freeze({ ...kind, versions });
}

interface Source {
  readonly kind: KindDefinition;
  readonly target: WebhookTarget;
  readonly reviewVersions: readonly string[];
}

/** Converts into one version. What was converted is kept as long as what it came from, so that watchers and lists ask once for each object. */
class WebhookConverter implements VersionConverter {
  readonly #apiVersion: string;
  readonly #source: Source;
  readonly #deps: ConversionDeps;
  readonly #converted = new WeakMap<JsonObject, JsonObject>();
  readonly #pending = new WeakMap<JsonObject, Promise<JsonObject>>();

  constructor(apiVersion: string, source: Source, deps: ConversionDeps) {
    this.#apiVersion = apiVersion;
    this.#source = source;
    this.#deps = deps;
  }

  converted(object: JsonObject): JsonObject | undefined {
    return this.#converted.get(object);
  }

  async convert(objects: readonly JsonObject[], signal?: AbortSignal): Promise<readonly JsonObject[]> {
    const results = objects.map((object) => (object.apiVersion === this.#apiVersion ? object : this.#converted.get(object)));
    const missing = new Set(objects.filter((object, index) => results[index] === undefined && !this.#pending.has(object)));
    const asked = new Map<JsonObject, Promise<JsonObject>>();
    const answers: Promise<readonly JsonObject[]>[] = [];
    for (const batch of inBatches([...missing])) {
      const turn = answers.at(-BATCHES_AT_ONCE)?.catch(() => undefined);
      const answer = turn === undefined ? this.#ask(batch) : turn.then(() => this.#ask(batch));
      answers.push(answer);
      for (const [index, object] of batch.entries()) asked.set(object, this.#kept(object, answer, index));
    }
    // Others may wait for the same answers: a caller who leaves must not take them along.
    const all = Promise.all(objects.map((object, index) => results[index] ?? asked.get(object) ?? this.#pending.get(object) ?? object));
    return signal === undefined ? all : abortable(all, signal);
  }

  /** The answer for one object; known from now on where the object cannot change. */
  #kept(object: JsonObject, answer: Promise<readonly JsonObject[]>, index: number): Promise<JsonObject> {
    const one = answer.then((results) => results[index] ?? object);
    one.catch(() => undefined); // Whoever waits hears of it; nobody may wait any more.
    if (!Object.isFrozen(object)) return one;
    this.#pending.set(object, one);
    void one.then(
      (result) => {
        this.#converted.set(object, result);
        this.#pending.delete(object);
      },
      () => this.#pending.delete(object),
    );
    return one;
  }

  async #ask(objects: readonly JsonObject[]): Promise<readonly JsonObject[]> {
    const { kind, target, reviewVersions } = this.#source;
    const [first] = objects;
    const isOne = objects.length === 1;
    const shown = `conversion webhook for ${gvkText(stringAt(first, 'apiVersion'), isOne ? stringAt(first, 'kind') : kind.listKind)}`;
    const reviewVersion = reviewVersions.find((version) => REVIEW_VERSIONS.has(version));
    if (reviewVersion === undefined) throw failure('no supported conversion review versions');
    const uid = uuid(this.#deps.random);
    // What a webhook is shown is complete by the schema of its version, as if it had been read at that.
    const sent = objects.map((object) => this.#completed(object));
    const review = {
      kind: 'ConversionReview',
      apiVersion: `${REVIEW_GROUP}/${reviewVersion}`,
      request: { uid, desiredAPIVersion: this.#apiVersion, objects: sent },
    };
    const signal = AbortSignal.timeout(2 * TIMEOUT_MS);
    const answer = await this.#deps.webhooks
      .call(target, review, { timeoutMs: TIMEOUT_MS, signal, answerBytesMax: ANSWER_BYTES_MAX })
      .catch((error: unknown) => {
        // Upstream's words, which its callers look for; what lies behind them is not for clients.
        throw failure(`${shown} failed: ${error instanceof Error ? error.message : String(error)}`);
      });
    const converted = responseOf(answer, reviewVersion, uid, (why) => failure(`${shown} failed: ${why}`));
    if (converted.length !== objects.length) throw failure(`${shown} returned ${converted.length} objects, expected ${objects.length}`);
    return objects.map((object, index) => {
      const place = isOne ? 'invalid object' : `invalid converted object at index ${index}`;
      const result = converted[index];
      if (!isJsonObject(result)) throw failure(`${shown} returned ${place}: it is no object`);
      const wrong = whyUnlike(object, result, this.#apiVersion);
      if (wrong !== undefined)
        throw failure(`${shown} returned ${wrong.inHead && isOne ? 'invalid object at index 0' : place}: ${wrong.message}`);
      const metadata = restoredMetadata(object, result);
      if (typeof metadata === 'string')
        throw failure(`${shown} returned invalid metadata${isOne ? '' : ` in object at index ${index}`}: ${metadata}`);
      return deepFreeze({ ...result, metadata });
    });
  }

  #completed(object: JsonObject): JsonObject {
    const { kind } = this.#source;
    const version = kind.versions.find((candidate) => apiVersionOf({ definition: kind, version: candidate }) === object.apiVersion);
    return version?.complete?.(object) ?? object;
  }
}

function* inBatches(objects: readonly JsonObject[]): Generator<readonly JsonObject[]> {
  for (let start = 0; start < objects.length; start += BATCH_MAX) yield objects.slice(start, start + BATCH_MAX);
}

function targetOf(config: JsonObject | undefined): WebhookTarget {
  const service = objectAt(config, 'service');
  const url = stringAt(config, 'url');
  return {
    ...(url === '' ? {} : { url }),
    ...(service === undefined
      ? {}
      : {
          service: {
            namespace: stringAt(service, 'namespace'),
            name: stringAt(service, 'name'),
            port: numberAt(service, 'port'),
            path: stringAt(service, 'path') || undefined,
          },
        }),
    caBundle: stringAt(config, 'caBundle'),
  };
}

/** The objects in the answer. @throws what `fail` makes of the reason that there are none. */
function responseOf(answer: unknown, reviewVersion: string, uid: string, fail: (why: string) => Error): readonly unknown[] {
  const review = isJsonObject(answer) ? answer : {};
  const response = objectAt(review, 'response');
  // The older form never was checked for more.
  if (reviewVersion === 'v1') {
    const expected = gvkText(`${REVIEW_GROUP}/v1`, 'ConversionReview');
    const got = gvkText(stringAt(review, 'apiVersion'), stringAt(review, 'kind'));
    if (got !== expected) throw fail(`expected webhook response of ${expected}, got ${got}`);
  }
  if (response === undefined) throw fail('no response provided');
  const answered = stringAt(response, 'uid');
  if (reviewVersion === 'v1' && answered !== uid)
    throw fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(answered)}`);
  const status = stringAt(response, 'result', 'status');
  if (status !== 'Success') throw fail(stringAt(response, 'result', 'message') || `response.result.status was '${status}', not 'Success'`);
  return listAt(response, 'convertedObjects');
}

/** How `out` is not what `object` may become; `inHead`: in what it says it is. */
function whyUnlike(
  object: JsonObject,
  out: JsonObject,
  apiVersion: string,
): { readonly inHead: boolean; readonly message: string } | undefined {
  const [expectedKind, kind] = [stringAt(object, 'kind'), stringAt(out, 'kind')];
  if (stringAt(out, 'apiVersion') !== apiVersion) {
    return { inHead: true, message: `invalid groupVersion (expected ${apiVersion}, received ${stringAt(out, 'apiVersion')})` };
  }
  if (kind !== expectedKind) return { inHead: true, message: `invalid kind (expected ${expectedKind}, received ${kind})` };
  for (const [field, name] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const) {
    const [before, after] = [stringAt(object, 'metadata', field), stringAt(out, 'metadata', field)];
    if (before !== after) return { inHead: false, message: `must have the same ${name}: ${before} != ${after}` };
  }
  return undefined;
}

/** The metadata of `object`, with the labels and annotations of `out`: all that a conversion may change. A string says why not. */
function restoredMetadata(object: JsonObject, out: JsonObject): JsonObject | string {
  const given = out.metadata;
  if (given === undefined) return 'missing metadata in converted object';
  if (!isJsonObject(given)) return `invalid metadata of type ${goType(given)} in converted object`;
  const metadata: JsonObject = { ...objectAt(object, 'metadata') };
  for (const field of ['labels', 'annotations'] as const) {
    const values = given[field];
    const before = metadata[field];
    delete metadata[field];
    if (values === undefined || values === null) continue;
    if (!isJsonObject(values)) return `invalid metadata.${field} of type ${goType(values)} in converted object`;
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== 'string') return `metadata.${field}[${key}] must be a string, but is ${goType(value)} in converted object`;
    }
    if (!equalJson(values, before ?? {})) {
      const faults =
        field === 'labels'
          ? validateLabels(values as Record<string, string>, 'metadata.labels')
          : validateAnnotations({ annotations: values }, 'metadata.annotations');
      const texts = faults.map((fault) => `${fault.field}: ${fault.message}`);
      if (texts.length > 0) return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
    }
    metadata[field] = values;
  }
  return metadata;
}

/** What upstream's messages call the type of a JSON value. */
function goType(value: unknown): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'object') return 'map[string]interface {}';
  if (typeof value === 'bigint') return 'int64';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function gvkText(apiVersion: string, kind: string): string {
  return `${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`;
}

/** What a client is told: upstream gives the error's text without a reason. */
function failure(message: string): StatusError {
  return new StatusError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 });
}
