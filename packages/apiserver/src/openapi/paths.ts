import { type Json, type JsonObject, joinApiVersion, type KindDefinition, type KindVersion, type SchemaBook } from '@dure/api';
import { groupWord, lower, upper } from './operation-names.ts';
import { bodySchemaName, CONNECTED, type Dialect, schemaName } from './schemas.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const STRATEGIC = 'application/strategic-merge-patch+json';
const PATCH_TYPES: readonly string[] = [
  'application/json-patch+json',
  'application/merge-patch+json',
  STRATEGIC,
  'application/apply-patch+yaml',
];
const BODY_TYPES: readonly string[] = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** A query parameter: name, type, what it is for. */
type Parameter = readonly [string, 'string' | 'integer' | 'boolean', string];

const PRETTY: Parameter = ['pretty', 'string', "If 'true', the output is indented."];
const WRITE: readonly Parameter[] = [
  ['dryRun', 'string', "'All' goes through every stage but stores nothing."],
  ['fieldManager', 'string', 'Name of the actor that makes these changes.'],
  ['fieldValidation', 'string', 'What to do with unknown and repeated fields: Ignore, Warn or Strict.'],
];
const FORCE: Parameter = ['force', 'boolean', 'Takes over fields of other managers; for apply only.'];
const LIST: readonly Parameter[] = [
  ['allowWatchBookmarks', 'boolean', 'Asks for BOOKMARK events.'],
  ['continue', 'string', 'Where a paginated list goes on.'],
  ['fieldSelector', 'string', 'Selects objects by their fields.'],
  ['labelSelector', 'string', 'Selects objects by their labels.'],
  ['limit', 'integer', 'Most objects to return.'],
  ['resourceVersion', 'string', 'How new the answer has to be.'],
  ['resourceVersionMatch', 'string', 'How resourceVersion is compared.'],
  ['sendInitialEvents', 'boolean', 'Begins a watch with the present state.'],
  ['timeoutSeconds', 'integer', 'Ends the call after this time.'],
  ['watch', 'boolean', 'Watches for changes instead of listing.'],
];
const DELETE: readonly Parameter[] = [
  ['dryRun', 'string', "'All' goes through every stage but stores nothing."],
  ['gracePeriodSeconds', 'integer', 'Seconds before the object is removed.'],
  ['orphanDependents', 'boolean', 'Deprecated: use propagationPolicy.'],
  ['propagationPolicy', 'string', 'Orphan, Background or Foreground.'],
];

interface Action {
  readonly method: 'get' | 'put' | 'post' | 'patch' | 'delete';
  readonly action: string;
  readonly parameters: readonly Parameter[];
  readonly body?: string;
  readonly answer: string;
  readonly idVerb: string;
}

const SUBRESOURCE_METHODS = [
  ['get', 'get'],
  ['update', 'put'],
  ['create', 'post'],
  ['delete', 'delete'],
  ['patch', 'patch'],
] as const;

/** The paths of one version of a kind. Pure. */
export function renderPaths(definition: KindDefinition, version: KindVersion, book: SchemaBook, dialect: Dialect): JsonObject {
  const groupVersion = joinApiVersion(definition.group, version.name);
  const root = definition.group === '' ? `/api/${version.name}` : `/apis/${groupVersion}`;
  const collection = definition.namespaced ? `${root}/namespaces/{namespace}/${definition.resource}` : `${root}/${definition.resource}`;
  const name = schemaName(definition, version);
  const gvk: JsonObject = { group: definition.group, kind: definition.kind, version: version.name };
  const writer = new PathWriter(definition, version, dialect);
  const has = (verb: string): boolean => definition.verbs.includes(verb as never);
  const paths: JsonObject = {};

  const many: Action[] = [];
  if (has('list')) many.push({ method: 'get', action: 'list', parameters: LIST, answer: `${name}List`, idVerb: 'list' });
  if (has('create')) many.push({ method: 'post', action: 'post', parameters: WRITE, body: name, answer: name, idVerb: 'create' });
  if (has('deletecollection')) {
    many.push({
      method: 'delete',
      action: 'deletecollection',
      parameters: [...DELETE, ...LIST.filter(([parameter]) => parameter !== 'watch')],
      body: `${META}.DeleteOptions`,
      answer: `${META}.Status`,
      idVerb: 'delete',
    });
  }
  if (many.length > 0) paths[collection] = writer.item(collection, many, gvk, '');
  if (definition.namespaced && has('list')) {
    const all = `${root}/${definition.resource}`;
    paths[all] = writer.item(
      all,
      many.filter(({ action }) => action === 'list'),
      gvk,
      'ForAllNamespaces',
    );
  }

  const one: Action[] = [];
  if (has('get')) one.push({ method: 'get', action: 'get', parameters: [], answer: name, idVerb: 'read' });
  if (has('update')) one.push({ method: 'put', action: 'put', parameters: WRITE, body: name, answer: name, idVerb: 'replace' });
  if (has('patch'))
    one.push({ method: 'patch', action: 'patch', parameters: [...WRITE, FORCE], body: `${META}.Patch`, answer: name, idVerb: 'patch' });
  if (has('delete')) {
    one.push({
      method: 'delete',
      action: 'delete',
      parameters: DELETE,
      body: `${META}.DeleteOptions`,
      answer: `${META}.Status`,
      idVerb: 'delete',
    });
  }
  const single = `${collection}/{name}`;
  if (one.length > 0) paths[single] = writer.item(single, one, gvk, '');

  for (const { name: subresource, verbs, body } of version.subresources ?? definition.subresources) {
    const schema = (body === undefined ? name : bodySchemaName(book, body)) ?? name;
    const path = `${single}/${subresource}`;
    const actions: Action[] = [];
    const connects = CONNECTED.has(subresource);
    for (const [verb, method] of SUBRESOURCE_METHODS) {
      if (!verbs.includes(verb)) continue;
      const idVerb = { get: 'read', create: 'create', update: 'replace', patch: 'patch', delete: 'delete' }[verb];
      if (connects) actions.push({ method, action: 'connect', parameters: [], answer: `${META}.Status`, idVerb: 'connect' });
      else if (method === 'patch')
        actions.push({ method, action: 'patch', parameters: [...WRITE, FORCE], body: `${META}.Patch`, answer: schema, idVerb });
      else
        actions.push({
          method,
          action: method,
          parameters: method === 'get' ? [] : WRITE,
          ...(method === 'get' ? {} : { body: schema }),
          answer: schema,
          idVerb,
        });
    }
    const suffix = subresource.replace(/^./, (letter) => letter.toUpperCase());
    if (actions.length > 0) paths[path] = writer.item(path, actions, body === undefined ? gvk : { ...body }, suffix);
  }
  return paths;
}

/** What stands between version and scope in an operation's identifier. */
const ACTION_WORD: Readonly<Record<string, (method: string) => string>> = { deletecollection: () => 'Collection', connect: upper };

class PathWriter {
  readonly #definition: KindDefinition;
  readonly #version: KindVersion;
  readonly #dialect: Dialect;

  constructor(definition: KindDefinition, version: KindVersion, dialect: Dialect) {
    this.#definition = definition;
    this.#version = version;
    this.#dialect = dialect;
  }

  item(path: string, actions: readonly Action[], gvk: JsonObject, suffix: string): JsonObject {
    const parameters: Json[] = [];
    if (path.includes('{name}')) parameters.push(this.#pathParameter('name', `name of the ${this.#definition.kind}`));
    if (path.includes('{namespace}'))
      parameters.push(this.#pathParameter('namespace', 'object name and auth scope, such as for teams and projects'));
    parameters.push(this.#queryParameter(PRETTY));
    const item: JsonObject = {};
    for (const action of actions) item[action.method] = this.#operation(action, gvk, suffix);
    return { ...item, parameters };
  }

  #operation({ method, action, parameters, body, answer, idVerb }: Action, gvk: JsonObject, suffix: string): JsonObject {
    const { group, kind } = this.#definition;
    const tag = `${lower(groupWord(group))}_${this.#version.name}`;
    const groupName = groupWord(group);
    const scope = this.#definition.namespaced && suffix !== 'ForAllNamespaces' ? 'Namespaced' : '';
    const query: Json[] = parameters.map((parameter) => this.#queryParameter(parameter));
    const common = {
      tags: [tag],
      operationId: `${idVerb}${groupName}${upper(this.#version.name)}${ACTION_WORD[action]?.(method) ?? ''}${scope}${kind}${suffix}`,
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
    };
    const statuses = action === 'post' ? ['200', '201', '202'] : action === 'put' || action === 'patch' ? ['200', '201'] : ['200'];
    // Clients take from here which patches they may send: custom kinds have no merge keys.
    const patchTypes = this.#version.schema.ref === undefined ? PATCH_TYPES.filter((type) => type !== STRATEGIC) : PATCH_TYPES;
    const bodyTypes = action === 'patch' ? patchTypes : BODY_TYPES;
    if (this.#dialect === 'v2') {
      if (body !== undefined)
        query.push({
          name: 'body',
          in: 'body',
          required: action !== 'delete' && action !== 'deletecollection',
          schema: { $ref: `#/definitions/${body}` },
        });
      const responses = Object.fromEntries(
        statuses.map((status) => [status, { description: 'OK', schema: { $ref: `#/definitions/${answer}` } }]),
      );
      return {
        ...common,
        consumes: action === 'patch' ? [...patchTypes] : ['*/*'],
        produces: [...BODY_TYPES],
        schemes: ['https'],
        parameters: query,
        responses: { ...responses, '401': { description: 'Unauthorized' } },
      };
    }
    const content = (types: readonly string[], schema: string): JsonObject =>
      Object.fromEntries(types.map((type) => [type, { schema: { $ref: `#/components/schemas/${schema}` } }]));
    const responses = Object.fromEntries(statuses.map((status) => [status, { description: 'OK', content: content(BODY_TYPES, answer) }]));
    return {
      ...common,
      parameters: query,
      ...(body === undefined
        ? {}
        : { requestBody: { content: content(bodyTypes, body), ...(action.startsWith('delete') ? {} : { required: true }) } }),
      responses: { ...responses, '401': { description: 'Unauthorized' } },
    };
  }

  #queryParameter([name, type, description]: Parameter): JsonObject {
    const base = { name, in: 'query', description };
    return this.#dialect === 'v2' ? { ...base, type, uniqueItems: true } : { ...base, schema: { type, uniqueItems: true } };
  }

  #pathParameter(name: string, description: string): JsonObject {
    const base = { name, in: 'path', description, required: true };
    return this.#dialect === 'v2'
      ? { ...base, type: 'string', uniqueItems: true }
      : { ...base, schema: { type: 'string', uniqueItems: true } };
  }
}
