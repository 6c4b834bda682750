import { type CompiledLabelSelector, compileLabelSelector, type JsonObject, type LabelSelectorObject, notFound } from '@dure/api';
import type { Match, VersionedRequest } from './versioned-request.ts';

/** By which Namespaces and objects a webhook or policy wants to be asked. */
export interface CompiledSelectors {
  /** `undefined`: every one. */
  readonly namespaces: CompiledLabelSelector | undefined;
  readonly objects: CompiledLabelSelector | undefined;
}

export function compileSelectors(
  namespaceSelector: LabelSelectorObject | undefined,
  objectSelector: LabelSelectorObject | undefined,
): CompiledSelectors {
  return { namespaces: compiled(namespaceSelector), objects: compiled(objectSelector) };
}

/**
 * What lies in no Namespace is in none that could be left out. Of objects the new one or the old one may match.
 * @throws {StatusError} NotFound: the Namespace is not there.
 */
export async function selectorsMatch({ namespaces, objects }: CompiledSelectors, seen: VersionedRequest, match: Match): Promise<boolean> {
  if (namespaces !== undefined) {
    const isCreatedNamespace = seen.request.resource === 'namespaces' && seen.request.group === '';
    if (seen.namespace !== '' || isCreatedNamespace) {
      const namespace = await seen.namespaceObject();
      if (namespace === undefined) throw notFound({ group: '', resource: 'namespaces' }, seen.namespace);
      if (!namespaces.matches(namespace.metadata.labels)) return false;
    }
  }
  if (objects === undefined) return true;
  const [object, oldObject] = await Promise.all([seen.object(match), seen.oldObject(match)]);
  return matchesObject(objects, object) || matchesObject(objects, oldObject);
}

function matchesObject(selector: CompiledLabelSelector, object: JsonObject | undefined): boolean {
  // What has no metadata, such as the options of an exec, has no labels to ask for.
  const metadata = object?.metadata;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return false;
  return selector.matches(metadata.labels as Readonly<Record<string, string>> | undefined);
}

function compiled(selector: LabelSelectorObject | undefined): CompiledLabelSelector | undefined {
  if (selector === undefined) return undefined;
  const made = compileLabelSelector(selector);
  return made.requirements.length === 0 ? undefined : made;
}
