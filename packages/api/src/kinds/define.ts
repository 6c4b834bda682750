import type { KindDefinition, KindVersion, SchemaNode, Strategy, SubresourceDefinition, TableColumn, Verb } from '../definition.ts';
import { isJsonObject, own } from '../json-value.ts';
import { builtinSchemas, resolve } from '../schema/builtin-book.ts';
import { decodeBySchema } from '../schema/decode.ts';
import { publishedName } from '../schema/facts.ts';
import { plainColumns } from './tables/column.ts';

/** What a built-in kind says of itself; everything else follows from conventions. */
export interface KindFacts {
  readonly group: string;
  readonly kind: string;
  readonly resource: string;
  readonly namespaced: boolean;
  /** Package of the schema facts: `core.v1`. Its version is the kind's. */
  readonly schema: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly verbs?: readonly Verb[];
  /** Has /status. */
  readonly status?: boolean;
  /** Has /scale at the usual paths. */
  readonly scale?: boolean;
  readonly subresources?: readonly SubresourceDefinition[];
  readonly columns?: readonly TableColumn[];
  readonly strategy?: Strategy;
  readonly storedAs?: KindDefinition['storedAs'];
  readonly conversion?: Pick<KindVersion, 'toStorage' | 'fromStorage'>;
  /** Further versions, less preferred. */
  readonly olderVersions?: readonly KindVersion[];
}

export const ALL_VERBS: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const CHANGE_VERBS: readonly Verb[] = ['get', 'patch', 'update'];
const SCALE: SubresourceDefinition = {
  name: 'scale',
  verbs: CHANGE_VERBS,
  body: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
};
const STATUS: SubresourceDefinition = { name: 'status', verbs: CHANGE_VERBS };

/** The definition that `facts` describe. */
export function defineKind(facts: KindFacts): KindDefinition {
  const version = facts.schema.split('.')[1] ?? 'v1';
  const schema = schemaOf(`${facts.schema}.${facts.kind}`);
  const definition: KindDefinition = {
    group: facts.group,
    kind: facts.kind,
    listKind: `${facts.kind}List`,
    resource: facts.resource,
    singular: facts.kind.toLowerCase(),
    shortNames: facts.shortNames ?? [],
    categories: facts.categories ?? [],
    namespaced: facts.namespaced,
    verbs: facts.verbs ?? ALL_VERBS,
    versions: [
      {
        name: version,
        served: true,
        schema,
        columns: facts.columns ?? plainColumns,
        ...facts.conversion,
      },
      ...(facts.olderVersions ?? []),
    ],
    storageVersion: version,
    subresources: [...(facts.subresources ?? []), ...(facts.scale === true ? [SCALE] : []), ...(facts.status === true ? [STATUS] : [])],
    ...(facts.scale === true
      ? { scale: { specReplicasPath: 'spec.replicas', statusReplicasPath: 'status.replicas', labelSelectorPath: 'spec.selector' } }
      : {}),
    ...(facts.storedAs === undefined ? {} : { storedAs: facts.storedAs }),
    strategy: facts.status === true ? withWholeStatus(facts.strategy ?? {}, schema) : (facts.strategy ?? {}),
  };
  return Object.freeze(definition);
}

/** A status that was begun anew shows what is always on the wire (`replicas: 0`): typed clients take such fields for given. */
function withWholeStatus(strategy: Strategy, schema: SchemaNode): Strategy {
  return {
    ...strategy,
    prepareForCreate(object) {
      strategy.prepareForCreate?.(object);
      const status = own(object, 'status');
      const node = resolve(schema, builtinSchemas).properties?.status;
      if (node !== undefined && isJsonObject(status)) object.status = decodeBySchema(status, node, builtinSchemas).object;
    },
  };
}

/** A reference to a definition of the built-in schemas, by its short name (`core.v1.Pod`). */
export function schemaOf(short: string): SchemaNode {
  return Object.freeze({ ref: publishedName(short) });
}
