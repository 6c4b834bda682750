/** Swagger documents of several servers made into one. Pure. */
import { equalJson, isJsonObject, type Json, type JsonObject, objectAt } from '@dure/api';

const PREFIX = '#/definitions/';

/**
 * `own` with the paths of `other` that lie under its group versions, and the definitions that those speak of. A name that means something else in `own`
 * gets a number: `Name_v2`.
 */
export function mergeSwagger(own: JsonObject, other: JsonObject, groupVersions: ReadonlySet<string>): JsonObject {
  const paths = Object.fromEntries(
    Object.entries(objectAt(other, 'paths') ?? {}).filter(([path]) => {
      const [, root, group, version] = path.split('/');
      return root === 'apis' && groupVersions.has(`${group}/${version}`);
    }),
  );
  const given = objectAt(other, 'definitions') ?? {};
  const needed = reachable(paths, given);
  const known = objectAt(own, 'definitions') ?? {};
  const names = new Map<string, string>();
  for (const name of needed) names.set(name, freeName(name, given[name], known));
  const definitions = Object.fromEntries([...needed].map((name) => [names.get(name) ?? name, renamed(given[name] ?? {}, names)]));
  return {
    ...own,
    paths: { ...objectAt(own, 'paths'), ...(renamed(paths, names) as JsonObject) },
    definitions: { ...definitions, ...known },
  };
}

/** Names of all `definitions` that `value` speaks of, directly or not. */
export function reachable(value: Json, definitions: JsonObject): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (node: Json | undefined): void => {
    if (Array.isArray(node)) for (const item of node) visit(item);
    if (!isJsonObject(node)) return;
    const name = refOf(node);
    if (name !== undefined && !found.has(name) && Object.hasOwn(definitions, name)) {
      found.add(name);
      visit(definitions[name]);
    }
    for (const item of Object.values(node)) visit(item);
  };
  visit(value);
  return found;
}

function freeName(name: string, definition: Json | undefined, known: JsonObject): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}_v${number}`;
    if (!Object.hasOwn(known, candidate) || equalJson(bare(known[candidate] ?? null), bare(definition ?? null))) return candidate;
  }
}

/** What a definition means, without the words for it: those of one server are not those of another. */
function bare(value: Json): Json {
  if (Array.isArray(value)) return value.map(bare);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(
    ([key, item]) => !(key === 'description' && typeof item === 'string') && key !== 'x-kubernetes-group-version-kind' && key !== 'default',
  );
  return Object.fromEntries(kept.map(([key, item]) => [key, bare(item)]));
}

function renamed(value: Json, names: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((item) => renamed(item, names));
  if (!isJsonObject(value)) return value;
  const name = refOf(value);
  const copy: JsonObject = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renamed(item, names)]));
  if (name !== undefined) copy.$ref = `${PREFIX}${names.get(name) ?? name}`;
  return copy;
}

function refOf({ $ref }: JsonObject): string | undefined {
  return typeof $ref === 'string' && $ref.startsWith(PREFIX) ? $ref.slice(PREFIX.length) : undefined;
}
