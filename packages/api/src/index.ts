export type {
  Json,
  JsonObject,
  KindDefinition,
  KindVersion,
  SchemaBook,
  SchemaNode,
  Strategy,
  SubresourceDefinition,
  TableColumn,
  Verb,
} from './definition.ts';
export type { FieldError, FieldErrorReason } from './field-error.ts';
export type {
  Draft,
  KubeList,
  KubeObject,
  ListMeta,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
  ResourceRef,
  WatchEvent,
} from './object.ts';
