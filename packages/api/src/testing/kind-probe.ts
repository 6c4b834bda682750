/** Drives one built-in kind through the steps that the API server takes, for tables of cases. */
import type { JsonObject } from '../definition.ts';
import type { FieldError } from '../field-error.ts';
import { cloneJson, isJsonObject } from '../json-value.ts';
import { KindRegistry, type ServedKind } from '../kind-registry.ts';
import { builtinKinds } from '../kinds/builtin.ts';
import { decodeObject } from '../kinds/decode-object.ts';
import { validateChangedObject, validateNewObject } from '../kinds/validate-object.ts';
import { builtinSchemas } from '../schema/builtin-book.ts';

export class KindProbe {
  readonly kind: ServedKind;

  /** @throws {Error} There is no such collection. */
  constructor(group: string, resource: string, version = 'v1') {
    const kind = new KindRegistry(builtinKinds).resource(group, version, resource);
    if (kind === undefined) throw new Error(`no ${resource} in group ${JSON.stringify(group)}`);
    this.kind = kind;
  }

  /** Decoded and defaulted. `body` holds everything but apiVersion and kind; name and namespace are filled in. */
  decode(body: JsonObject): JsonObject {
    const { group, kind, namespaced } = this.kind.definition;
    const { name } = this.kind.version;
    const given = isJsonObject(body.metadata) ? body.metadata : {};
    const metadata = { name: 'x', ...(namespaced ? { namespace: 'default' } : {}), ...given };
    const apiVersion = group === '' ? name : `${group}/${name}`;
    return decodeObject(this.kind, { apiVersion, kind, ...body, metadata }, builtinSchemas).object;
  }

  /** As stored after a create: prepared, not validated. */
  create(body: JsonObject): JsonObject {
    const object = this.decode(body);
    const metadata = object.metadata as JsonObject;
    metadata.uid = '0b5e6c1e-5d3a-4b3b-8d7e-111111111111';
    metadata.resourceVersion = '1';
    this.kind.definition.strategy.prepareForCreate?.(object);
    return object;
  }

  /** Faults of a create, each as `field: message`. */
  createFaults(body: JsonObject): string[] {
    return validateNewObject(this.kind, this.create(body)).map(shown);
  }

  /** The object after `edit` went through the main door, with its faults. */
  update(old: JsonObject, edit: (object: JsonObject) => void): { readonly object: JsonObject; readonly faults: string[] } {
    const object = cloneJson(old);
    edit(object);
    this.kind.definition.strategy.defaults?.(object);
    this.kind.definition.strategy.prepareForUpdate?.(object, old);
    return { object, faults: validateChangedObject(this.kind, object, old).map(shown) };
  }

  /** The table's row, all columns. */
  row(object: JsonObject, nowMs: number): Record<string, unknown> {
    return Object.fromEntries(this.kind.version.columns.map((column) => [column.name, column.value(object, nowMs)]));
  }
}

function shown({ field, message }: FieldError): string {
  return `${field}: ${message}`;
}
