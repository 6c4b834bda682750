import {
  decodeObject,
  type JsonObject,
  joinApiVersion,
  type KindDefinition,
  type KindRegistry,
  type KubeObject,
  kindAt,
  type SchemaBook,
  type SchemaNode,
  SchemaValues,
  type ServedKind,
} from '@dure/api';
import type { AdmissionRequest } from '../../contract/admission.ts';
import type { ObjectReader } from '../../contract/object-reader.ts';
import { cloneObject, readStored, toWorking } from '../../registry/conversion.ts';
import { deepFreeze } from '../../registry/stored-object.ts';
import type { CompiledRules, GroupVersionResource, RuleSubject } from './resource-rules.ts';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** How a webhook or policy wants to see a request: as it came, or at an equivalent resource that its rules name. */
export interface Match {
  readonly resource: GroupVersionResource;
  readonly kind: GroupVersionKind;
}

export interface VersionedRequestDeps {
  readonly kinds: KindRegistry;
  readonly book: SchemaBook;
  readonly reads: ObjectReader;
}

/** Kinds that decide about admission: nothing that they configure may lock anybody out of changing them. */
export const CONFIGURATION_GROUP = 'admissionregistration.k8s.io';

export const CONFIGURATION_RESOURCES: ReadonlySet<string> = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
]);

const REVIEWS: ReadonlySet<string> = new Set([
  'authentication.k8s.io/selfsubjectreviews',
  'authentication.k8s.io/tokenreviews',
  'authorization.k8s.io/localsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
  'authorization.k8s.io/subjectaccessreviews',
]);

/**
 * One request as webhooks and policies see it. What is asked more than once (equivalent resources, the Namespace, the object at a
 * version) is found once; make one for each stage of a request, since objects change in between.
 */
export class VersionedRequest {
  readonly request: AdmissionRequest;
  /** As the client asked. */
  readonly asked: Match;
  /** As upstream tells it: a Namespace lies in itself. */
  readonly namespace: string;
  /** Objects as expressions see them, each made once however many expressions look at it. */
  readonly values = new SchemaValues();
  readonly #deps: VersionedRequestDeps;
  readonly #signal: AbortSignal;
  readonly #subject: RuleSubject;
  readonly #definition: KindDefinition | undefined;
  readonly #objects = new Map<string, Promise<JsonObject | undefined>>();
  #equivalents: readonly Match[] | undefined;
  #namespaceObject: Promise<KubeObject | undefined> | undefined;

  constructor(request: AdmissionRequest, deps: VersionedRequestDeps, signal: AbortSignal) {
    const { group, version, resource, operation, subresource, name, bodyKind } = request;
    this.request = request;
    this.#deps = deps;
    this.#signal = signal;
    const isNamespace = group === '' && resource === 'namespaces';
    this.namespace = isNamespace ? name : request.namespace;
    this.#definition = deps.kinds.groupResource(group, resource);
    this.asked = { resource: { group, version, resource }, kind: bodyKind ?? { group, version, kind: request.kind } };
    this.#subject = { group, version, resource, operation, subresource, name, namespaced: request.namespace !== '' && !isNamespace };
  }

  /** Webhooks and policies are not asked about what configures them. */
  static isExempt({ group, resource }: Pick<AdmissionRequest, 'group' | 'resource'>): boolean {
    return group === CONFIGURATION_GROUP && CONFIGURATION_RESOURCES.has(resource);
  }

  /** Policies are not asked about reviews either: those make nothing. */
  static isExemptFromPolicies(request: Pick<AdmissionRequest, 'group' | 'resource'>): boolean {
    return VersionedRequest.isExempt(request) || REVIEWS.has(`${request.group}/${request.resource}`);
  }

  /** How `rules` want to see this request; `undefined` where they are not about it. */
  matchOf(rules: CompiledRules, policy: 'Exact' | 'Equivalent'): Match | undefined {
    if (!rules.mayConcern(this.#subject.operation, this.#subject.subresource)) return undefined;
    if (rules.matches(this.#subject)) return this.asked;
    if (policy === 'Exact') return undefined;
    return this.#allEquivalents().find(({ resource }) => rules.matches({ ...this.#subject, ...resource }));
  }

  /** The object at the match's version; frozen or shared, so copy before changing. @throws {StatusError} It cannot be converted. */
  object(match: Match): Promise<JsonObject | undefined> {
    return this.#at(match, 'object', this.request.object);
  }

  oldObject(match: Match): Promise<JsonObject | undefined> {
    return this.#at(match, 'old', this.request.oldObject as unknown as JsonObject | undefined);
  }

  /** The schema of the match's kind; `undefined` for the bodies of subresources. */
  schemaOf(match: Match): SchemaNode | undefined {
    return this.request.bodyKind === undefined ? this.#kindOf(match)?.version.schema : undefined;
  }

  /**
   * Puts `changed`, an object of the match's kind, in the request's place: decoded and defaulted like a body, in the storage version.
   * @throws {DecodeError} It is no such object.
   */
  async replace(match: Match, changed: JsonObject): Promise<void> {
    const { object } = this.request;
    if (object === undefined) throw new Error('the request has no object');
    const next = await this.#working(match, changed);
    for (const field of Object.keys(object)) delete object[field];
    Object.assign(object, next);
    this.#objects.clear();
  }

  /** The Namespace of the request, or `undefined` for cluster scope. Of a Namespace that is being written: that very object. */
  namespaceObject(): Promise<KubeObject | undefined> {
    this.#namespaceObject ??= this.#findNamespace();
    return this.#namespaceObject;
  }

  async #findNamespace(): Promise<KubeObject | undefined> {
    const { group, resource, operation, subresource, object, oldObject } = this.request;
    if (group === '' && resource === 'namespaces') {
      const written = operation === 'DELETE' || subresource !== '' ? oldObject : object;
      if (written !== undefined) return written as unknown as KubeObject;
    }
    if (this.namespace === '') return undefined;
    const { reads } = this.#deps;
    return (
      (await reads.get('', 'namespaces', undefined, this.namespace)) ??
      (await reads.get('', 'namespaces', undefined, this.namespace, { fresh: true }))
    );
  }

  #at(match: Match, which: 'object' | 'old', stored: JsonObject | undefined): Promise<JsonObject | undefined> {
    const key = `${which} ${match.kind.group}/${match.kind.version}`;
    let found = this.#objects.get(key);
    if (found === undefined) {
      found = this.#convert(match, stored);
      this.#objects.set(key, found);
    }
    return found;
  }

  async #convert(match: Match, stored: JsonObject | undefined): Promise<JsonObject | undefined> {
    const kind = this.request.bodyKind === undefined ? this.#kindOf(match) : undefined;
    if (stored === undefined || kind === undefined) return stored;
    // What is changed in place later must not change what was shown.
    const fixed = Object.isFrozen(stored) ? stored : deepFreeze(cloneObject(stored));
    return readStored(kind, fixed, this.#signal);
  }

  /** `changed` as the server works on it. */
  async #working(match: Match, changed: JsonObject): Promise<JsonObject> {
    const kind = this.request.bodyKind === undefined ? this.#kindOf(match) : undefined;
    const own = this.#kindOf(this.asked);
    if (kind === undefined || own === undefined) return changed;
    const decoded = decodeObject(kind, changed, this.#deps.book).object;
    decoded.kind = kind.definition.kind;
    decoded.apiVersion = joinApiVersion(kind.definition.group, kind.version.name);
    // Each version of a custom kind has its own rules: the server works on the one that was asked for.
    if (own.version.structural === true && own.version.name !== kind.version.name)
      return cloneObject(await readStored(own, deepFreeze(decoded), this.#signal));
    return toWorking(kind, decoded);
  }

  #kindOf({ kind: { group, version, kind } }: Match): ServedKind | undefined {
    const definition = this.#deps.kinds.kind(group, kind);
    const found = definition?.versions.find(({ name }) => name === version);
    return definition === undefined || found === undefined ? undefined : kindAt(definition, found);
  }

  /** Other versions of the resource, and other resources that are stored as the same objects. */
  #allEquivalents(): readonly Match[] {
    this.#equivalents ??= this.#findEquivalents();
    return this.#equivalents;
  }

  #findEquivalents(): readonly Match[] {
    const own = this.#definition;
    if (own === undefined) return [];
    const storage = own.storedAs ?? own;
    const found: Match[] = [];
    for (const definition of this.#deps.kinds.list()) {
      const { group, resource } = definition.storedAs ?? definition;
      if (definition !== own && (group !== storage.group || resource !== storage.resource)) continue;
      for (const version of definition.versions) {
        const isAsked = definition === own && version.name === this.asked.resource.version;
        if (!version.served || isAsked) continue;
        const place = { group: definition.group, version: version.name };
        // The body of a subresource is the same kind wherever it is sent to.
        const kind = this.request.bodyKind ?? { ...place, kind: definition.kind };
        found.push({ resource: { ...place, resource: definition.resource }, kind });
      }
    }
    return found;
  }
}
