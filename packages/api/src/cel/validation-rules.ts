import type { JsonObject, SchemaNode } from '../definition.ts';
import type { FieldError } from '../field-error.ts';

/** The rules of a schema (`x-kubernetes-validations`). */
export class ValidationRules {
  readonly isEmpty: boolean = true;

  constructor(_schema: SchemaNode) {}

  check(_object: JsonObject, _old: JsonObject | undefined): FieldError[] {
    return [];
  }
}
