import { type JsonObject, objectsAt, stringAt, stringsAt, trueAt } from '@dure/api';

/** An APIResourceList in the form of aggregated discovery: subresources stand under their resources. Pure. */
export function discoveredResources(group: string, version: string, list: JsonObject): readonly JsonObject[] {
  const found = new Map<string, JsonObject>();
  const given = objectsAt(list, 'resources');
  for (const resource of given) {
    const name = stringAt(resource, 'name');
    if (name === '' || name.includes('/')) continue;
    const shortNames = [...stringsAt(resource, 'shortNames')];
    const categories = [...stringsAt(resource, 'categories')];
    found.set(name, {
      resource: name,
      responseKind: responseKind(resource, group, version),
      scope: scopeOf(resource),
      singularResource: stringAt(resource, 'singularName'),
      verbs: [...stringsAt(resource, 'verbs')],
      ...(shortNames.length === 0 ? {} : { shortNames }),
      ...(categories.length === 0 ? {} : { categories }),
    });
  }
  for (const resource of given) {
    const [name = '', ...rest] = stringAt(resource, 'name').split('/');
    if (rest.length === 0) continue;
    // A subresource may be all that there is of its resource.
    const parent = found.get(name) ?? { resource: name, scope: scopeOf(resource) };
    found.set(name, parent);
    const subresource = {
      subresource: rest.join('/'),
      responseKind: responseKind(resource, group, version),
      verbs: [...stringsAt(resource, 'verbs')],
    };
    parent.subresources = [...objectsAt(parent, 'subresources'), subresource];
  }
  return [...found.values()];
}

function responseKind(resource: JsonObject, group: string, version: string): JsonObject {
  return {
    group: stringAt(resource, 'group') || group,
    version: stringAt(resource, 'version') || version,
    kind: stringAt(resource, 'kind'),
  };
}

function scopeOf(resource: JsonObject): string {
  return trueAt(resource, 'namespaced') ? 'Namespaced' : 'Cluster';
}
