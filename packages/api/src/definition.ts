import type { FieldError } from './field-error.ts';

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
/** A decoded object still being shaped by the server: the one place where objects are mutable. */
export type JsonObject = { [key: string]: Json };

/**
 * One node of a structural schema: OpenAPI v3 with Kubernetes' extensions, the form that built-in and custom kinds share.
 * Descriptions are ours; names, types, required, defaults, merge keys and list types are upstream's published facts.
 */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  /** Name of a shared definition (`io.k8s.api.core.v1.Container`); resolved through the {@link SchemaBook}. Excludes every other field but `description` and `default`. */
  readonly ref?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly default?: Json;
  readonly enum?: readonly Json[];
  readonly format?: string;
  readonly pattern?: string;
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly not?: SchemaNode;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-validations'?: readonly Json[];
}

/** Shared definitions by name. */
export type SchemaBook = ReadonlyMap<string, SchemaNode>;

/** A column of `kubectl get`. `value` returns what is printed; `undefined` prints as `<none>`, `null` as nothing. */
export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description?: string;
  /** 0: always shown; 1: with `-o wide`. */
  readonly priority: number;
  /** @param nowMs Wall time, for ages. */
  value(object: JsonObject, nowMs: number): string | number | bigint | boolean | null | undefined;
}

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** A subresource as discovery and routing see it; what it does belongs to the API server. */
export interface SubresourceDefinition {
  readonly name: string;
  readonly verbs: readonly Verb[];
  /** Where the body is another kind than the parent (`Scale`, `Binding`, `Eviction`, `TokenRequest`, `PodExecOptions`). */
  readonly body?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** What a kind decides about its objects' lives. Functions may change `object` and nothing else. */
export interface Strategy {
  /** Defaults that a schema cannot express (one field from another). Runs on every decode, after the schema's own defaults. */
  defaults?(object: JsonObject): void;
  /** Before a create is validated: clears what clients may not set (`status`), sets `generation`. */
  prepareForCreate?(object: JsonObject): void;
  /** Before an update of the main resource is validated: keeps what this door may not change (`status`), bumps `generation`. */
  prepareForUpdate?(object: JsonObject, old: JsonObject): void;
  /** Before an update of /status is validated: keeps everything but the status. */
  prepareForStatusUpdate?(object: JsonObject, old: JsonObject): void;
  /** What is wrong with `metadata.name`; absent: it must be a DNS subdomain. */
  checkName?(name: string): string[];
  /** Beyond the schema. @param old What is changed, for what may stay as it is though it could not come new. */
  validate?(object: JsonObject, old?: JsonObject): FieldError[];
  /** Immutable fields and transitions. */
  validateUpdate?(object: JsonObject, old: JsonObject): FieldError[];
  /** Same for /status. */
  validateStatusUpdate?(object: JsonObject, old: JsonObject): FieldError[];
  /** Values for field selectors beyond `metadata.name` and `metadata.namespace`. */
  selectableFields?(object: JsonObject): Readonly<Record<string, string>>;
  /**
   * Seconds that a delete waits; 0 or `undefined`: deletes at once. Pods give `spec.terminationGracePeriodSeconds`, or 0 where nothing runs.
   * @param requested What the delete's options ask for.
   */
  gracePeriodSeconds?(object: JsonObject, requested?: number): number | undefined;
  /** Finalizers that a new object starts with (Namespaces have theirs in `spec.finalizers`, not here). */
  readonly unconditionalUpdateAllowed?: boolean;
  /** PUT of an absent name creates it (Lease, Endpoints, EndpointSlice, Event, ... as upstream). */
  readonly createOnUpdateAllowed?: boolean;
}

export interface KindVersion {
  readonly name: string;
  readonly served: boolean;
  readonly deprecated?: boolean;
  readonly schema: SchemaNode;
  /**
   * Custom kinds: a value of the wrong type is a fault of validation, not of decoding, and the schema itself validates.
   * Built-in kinds are decoded as typed objects and validated by their strategy.
   */
  readonly structural?: boolean;
  readonly columns: readonly TableColumn[];
  /** To and from the storage version; absent where the shapes are equal. */
  toStorage?(object: JsonObject): JsonObject;
  fromStorage?(object: JsonObject): JsonObject;
  /** Custom kinds that another process converts: how objects of other versions become this one's. Absent: by their `apiVersion` alone. */
  readonly converter?: VersionConverter;
  /** Versions of a custom kind may differ in these: given, they stand in place of the definition's. */
  readonly subresources?: readonly SubresourceDefinition[];
  readonly scale?: ScalePaths;
  readonly strategy?: Strategy;
  /** In place of the usual words for a deprecated version. */
  readonly deprecationWarning?: string;
  /** Custom kinds: every fault by the schema and its rules. @param old What is changed; faults in what stays as it is are let pass. */
  check?(object: JsonObject, old?: JsonObject): FieldError[];
  /** Custom kinds: a stored object pruned and defaulted by this version's schema; `object` itself where that changes nothing. */
  complete?(object: JsonObject): JsonObject;
}

/** Makes objects of one version of a custom kind by asking another process. */
export interface VersionConverter {
  /** As many, in the same order, asked for until `signal` aborts; those that are of the version already are returned themselves. @throws {Error} with what clients are told. */
  convert(objects: readonly JsonObject[], signal?: AbortSignal): Promise<readonly JsonObject[]>;
  /** What {@link convert} made of a frozen object, kept while that lives; `undefined` where it was not asked. */
  converted(object: JsonObject): JsonObject | undefined;
}

/** JSON paths of the scale subresource, dotted (`spec.replicas`). At the selector's path stands a string, a LabelSelector or a map of labels. */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/**
 * Everything the API knows of one kind. Built-in kinds and CRDs enter the same registry as this value.
 */
export interface KindDefinition {
  readonly group: string;
  readonly kind: string;
  readonly listKind: string;
  /** Plural, lower case: the path segment. */
  readonly resource: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  /** In order of preference. */
  readonly versions: readonly KindVersion[];
  readonly storageVersion: string;
  readonly subresources: readonly SubresourceDefinition[];
  /** Objects are kept as another collection's, in its storage version: `events.k8s.io` events are core events. */
  readonly storedAs?: { readonly group: string; readonly resource: string };
  readonly scale?: ScalePaths;
  readonly strategy: Strategy;
}
