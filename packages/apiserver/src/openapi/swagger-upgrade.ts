/** A Swagger 2.0 document's part about one group version, as OpenAPI 3.0: for servers that only speak the older. Pure. */
import { isJsonObject, type Json, type JsonObject, objectAt, objectsAt, stringAt, stringsAt } from '@dure/api';
import { reachable } from './swagger-merge.ts';

const [OLD_PREFIX, PREFIX] = ['#/definitions/', '#/components/schemas/'] as const;
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const;
/** What a parameter says of itself; everything else is its schema. */
const PARAMETER_FIELDS: ReadonlySet<string> = new Set(['name', 'in', 'description', 'required', 'allowEmptyValue']);
const ANY_TYPE = ['*/*'];

export function upgradedSwagger(swagger: JsonObject, group: string, version: string): JsonObject {
  const prefix = `/apis/${group}/${version}/`;
  const given = Object.fromEntries(Object.entries(objectAt(swagger, 'paths') ?? {}).filter(([path]) => path.startsWith(prefix)));
  const definitions = objectAt(swagger, 'definitions') ?? {};
  const own = Object.keys(definitions).filter((name) => isOf(objectAt(definitions, name), group, version));
  const names = reachable([given, ...own.map((name): JsonObject => ({ $ref: `${OLD_PREFIX}${name}` }))], definitions);
  return {
    openapi: '3.0.0',
    info: objectAt(swagger, 'info') ?? {},
    paths: Object.fromEntries(Object.keys(given).map((path) => [path, pathItem(objectAt(given, path) ?? {})])),
    components: { schemas: Object.fromEntries([...names].toSorted().map((name) => [name, referring(definitions[name] ?? {})])) },
  };
}

function isOf(definition: JsonObject | undefined, group: string, version: string): boolean {
  const marks = objectsAt(definition, 'x-kubernetes-group-version-kind');
  return marks.some((mark) => stringAt(mark, 'group') === group && stringAt(mark, 'version') === version);
}

function pathItem(item: JsonObject): JsonObject {
  const upgraded: JsonObject = {};
  for (const method of METHODS) {
    const found = objectAt(item, method);
    if (found !== undefined) upgraded[method] = operation(found);
  }
  const shared = parameters(item);
  return shared.length === 0 ? upgraded : { ...upgraded, parameters: shared };
}

function operation(found: JsonObject): JsonObject {
  const { consumes: _consumes, produces: _produces, schemes: _schemes, parameters: _parameters, responses: _responses, ...rest } = found;
  const body = objectsAt(found, 'parameters').find((parameter) => stringAt(parameter, 'in') === 'body');
  const query = parameters(found);
  const responses = Object.entries(objectAt(found, 'responses') ?? {}).map(([code, given]): [string, JsonObject] => {
    const response = isJsonObject(given) ? given : {};
    const content = response.schema === undefined ? {} : { content: contentOf(typesOf(found, 'produces'), response.schema) };
    return [code, { description: stringAt(response, 'description'), ...content }];
  });
  return {
    ...rest,
    ...(query.length === 0 ? {} : { parameters: query }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            content: contentOf(typesOf(found, 'consumes'), body.schema ?? {}),
            ...(body.required === true ? { required: true } : {}),
          },
        }),
    responses: Object.fromEntries(responses),
  };
}

/** Those that are no bodies. */
function parameters(holder: JsonObject): JsonObject[] {
  return objectsAt(holder, 'parameters')
    .filter((parameter) => stringAt(parameter, 'in') !== 'body')
    .map((parameter) => {
      const entries = Object.entries(parameter);
      return {
        ...Object.fromEntries(entries.filter(([field]) => PARAMETER_FIELDS.has(field))),
        schema: Object.fromEntries(entries.filter(([field]) => !PARAMETER_FIELDS.has(field))),
      };
    });
}

function typesOf(found: JsonObject, field: 'consumes' | 'produces'): readonly string[] {
  const types = stringsAt(found, field);
  return types.length === 0 ? ANY_TYPE : types;
}

function contentOf(types: readonly string[], schema: Json): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema: referring(schema) }]));
}

/** With references to where definitions stand now. */
function referring(value: Json): Json {
  if (Array.isArray(value)) return value.map(referring);
  if (!isJsonObject(value)) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, referring(item)]));
  const { $ref } = value;
  return typeof $ref === 'string' ? { ...copy, $ref: $ref.replace(OLD_PREFIX, PREFIX) } : copy;
}
