import {
  badRequest,
  type CompiledLabelSelector,
  type FieldSelector,
  type JsonObject,
  type KubeObject,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  type ServedKind,
} from '@dure/api';
import { fromStorage } from './conversion.ts';

/** Which objects of a collection a request wants. */
export interface Selection {
  /** True where every object is wanted. */
  readonly everything: boolean;
  /** The only name that can match, where the selector says so. */
  readonly name: string | undefined;
  /** It looks at more than metadata, and so at objects in the request's version. */
  readonly readsFields: boolean;
  /** @param object As it is stored; converted ahead where {@link readsFields}. */
  matches(object: KubeObject): boolean;
}

/** Longer selectors cost more than they select. */
const SELECTOR_LENGTH_MAX = 64 * 1024;

/**
 * @param name Selects one object besides, for a watch of a single name.
 * @throws {StatusError} BadRequest: malformed, or a field that this kind cannot be selected by.
 */
export function parseSelection(kind: ServedKind, labels: string, fields: string, name = ''): Selection {
  const { labelSelector, fieldSelector } = parse(labels, fields);
  checkFields(kind, fieldSelector);
  const exact = name !== '' ? name : fieldSelector.exactValue('metadata.name');
  const everyField = fieldSelector.requirements.length === 0;
  const beyondMeta = fieldSelector.requirements.some(({ field }) => field !== 'metadata.name' && field !== 'metadata.namespace');
  return {
    everything: labelSelector.requirements.length === 0 && everyField && name === '',
    name: exact,
    readsFields: beyondMeta,
    matches(object) {
      if (name !== '' && object.metadata.name !== name) return false;
      if (!labelSelector.matches(object.metadata.labels)) return false;
      return everyField || fieldSelector.matches(fieldsOf(kind, object, beyondMeta));
    },
  };
}

function parse(labels: string, fields: string): { readonly labelSelector: CompiledLabelSelector; readonly fieldSelector: FieldSelector } {
  if (labels.length > SELECTOR_LENGTH_MAX || fields.length > SELECTOR_LENGTH_MAX) throw badRequest('the selector is too long');
  try {
    return { labelSelector: parseLabelSelector(labels), fieldSelector: parseFieldSelector(fields) };
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(`unable to parse requirement: ${error.message}`);
    throw error;
  }
}

function fieldsOf(kind: ServedKind, object: KubeObject, beyondMeta: boolean): Readonly<Record<string, string>> {
  const { name, namespace } = object.metadata;
  const own = beyondMeta ? (kind.definition.strategy.selectableFields?.(fromStorage(kind, object as unknown as JsonObject)) ?? {}) : {};
  return { ...own, 'metadata.name': name, ...(namespace === undefined ? {} : { 'metadata.namespace': namespace }) };
}

function checkFields(kind: ServedKind, selector: FieldSelector): void {
  let known: Readonly<Record<string, string>> | undefined;
  for (const { field } of selector.requirements) {
    if (field === 'metadata.name' || (field === 'metadata.namespace' && kind.definition.namespaced)) continue;
    // What an empty object could be selected by is what any object of the kind can be selected by.
    known ??= kind.definition.strategy.selectableFields?.({ metadata: {}, spec: {}, status: {} }) ?? {};
    if (!Object.hasOwn(known, field)) throw badRequest(`field label not supported: ${field}`);
  }
}
