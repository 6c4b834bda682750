import type { JsonObject } from '@dure/api';
import {
  any,
  choice,
  double,
  encoded,
  extensions,
  flag,
  integer,
  list,
  message,
  named,
  object,
  text,
  type WireWriter,
} from './gnostic-wire.ts';

/**
 * A Swagger 2.0 document in gnostic's protobuf form, which Go clients ask for: field numbers are those of its OpenAPIv2.proto.
 * Only what our documents contain is written. @see https://github.com/google/gnostic-models
 */
export function encodeSwagger(document: JsonObject): Uint8Array {
  return encoded((writer) => swagger(writer, document));
}

function swagger(writer: WireWriter, document: JsonObject): void {
  text(writer, 1, document.swagger);
  const info = object(document.info);
  message(writer, 2, (inner) => {
    text(inner, 1, info.title);
    text(inner, 2, info.version);
  });
  message(writer, 8, (paths) => {
    for (const [path, item] of Object.entries(object(document.paths))) named(paths, 2, path, (value) => pathItem(value, object(item)));
  });
  message(writer, 9, (definitions) => schemas(definitions, object(document.definitions)));
  for (const requirement of list(document.security)) {
    message(writer, 12, (inner) => {
      for (const name of Object.keys(object(requirement))) named(inner, 1, name, () => undefined);
    });
  }
  message(writer, 13, (inner) => {
    for (const [name, definition] of Object.entries(object(document.securityDefinitions))) {
      const { type, name: header, in: place, description } = object(definition);
      // Member 2 of the union: an API key.
      named(inner, 1, name, (item) =>
        message(item, 2, (key) => {
          text(key, 1, type);
          text(key, 2, header);
          text(key, 3, place);
          text(key, 4, description);
        }),
      );
    }
  });
}

function pathItem(writer: WireWriter, item: JsonObject): void {
  for (const [method, number] of [
    ['get', 2],
    ['put', 3],
    ['post', 4],
    ['delete', 5],
    ['patch', 8],
  ] as const) {
    const found = item[method];
    if (found !== undefined) message(writer, number, (inner) => operation(inner, object(found)));
  }
  for (const parameter of list(item.parameters)) parameterItem(writer, 9, object(parameter));
}

function operation(writer: WireWriter, value: JsonObject): void {
  for (const tag of list(value.tags)) text(writer, 1, tag);
  text(writer, 5, value.operationId);
  for (const type of list(value.produces)) text(writer, 6, type);
  for (const type of list(value.consumes)) text(writer, 7, type);
  for (const parameter of list(value.parameters)) parameterItem(writer, 8, object(parameter));
  message(writer, 9, (responses) => {
    for (const [code, response] of Object.entries(object(value.responses))) {
      const { description, schema } = object(response);
      named(responses, 1, code, (item) =>
        message(item, 1, (inner) => {
          text(inner, 1, description);
          if (schema !== undefined) message(inner, 2, (holder) => message(holder, 1, (target) => schemaNode(target, object(schema))));
        }),
      );
    }
  });
  for (const scheme of list(value.schemes)) text(writer, 10, scheme);
  extensions(writer, 13, value);
}

/** `ParametersItem.parameter`: member 1 is a body, member 2 one of the others. */
function parameterItem(writer: WireWriter, number: number, parameter: JsonObject): void {
  message(writer, number, (item) =>
    message(item, 1, (union) => {
      if (parameter.in === 'body') {
        message(union, 1, (body) => {
          text(body, 2, parameter.name);
          text(body, 3, 'body');
          flag(body, 4, parameter.required);
          message(body, 5, (schema) => schemaNode(schema, object(parameter.schema)));
        });
        return;
      }
      const inPath = parameter.in === 'path';
      // Path and query parameters differ by one field, which shifts the numbers behind it.
      const shift = inPath ? 0 : 1;
      message(union, 2, (other) =>
        message(other, inPath ? 4 : 3, (inner) => {
          flag(inner, 1, parameter.required);
          text(inner, 2, parameter.in);
          text(inner, 3, parameter.description);
          text(inner, 4, parameter.name);
          text(inner, 5 + shift, parameter.type);
          flag(inner, 19 + shift, parameter.uniqueItems);
        }),
      );
    }),
  );
}

function schemas(writer: WireWriter, definitions: JsonObject): void {
  for (const [name, schema] of Object.entries(definitions)) named(writer, 1, name, (inner) => schemaNode(inner, object(schema)));
}

function schemaNode(writer: WireWriter, schema: JsonObject): void {
  text(writer, 1, schema.$ref);
  text(writer, 2, schema.format);
  text(writer, 3, schema.title);
  text(writer, 4, schema.description);
  any(writer, 5, schema.default);
  for (const [field, number] of [
    ['multipleOf', 6],
    ['maximum', 7],
    ['minimum', 9],
  ] as const) {
    double(writer, number, schema[field]);
  }
  flag(writer, 8, schema.exclusiveMaximum);
  flag(writer, 10, schema.exclusiveMinimum);
  for (const [field, number] of [
    ['maxLength', 11],
    ['minLength', 12],
    ['maxItems', 14],
    ['minItems', 15],
    ['maxProperties', 17],
    ['minProperties', 18],
  ] as const) {
    integer(writer, number, schema[field]);
  }
  text(writer, 13, schema.pattern);
  flag(writer, 16, schema.uniqueItems);
  for (const name of list(schema.required)) text(writer, 19, name);
  for (const value of list(schema.enum)) any(writer, 20, value);
  const { additionalProperties } = schema;
  if (typeof additionalProperties === 'boolean') message(writer, 21, (item) => choice(item, 2, additionalProperties));
  else if (additionalProperties !== undefined)
    message(writer, 21, (item) => message(item, 1, (inner) => schemaNode(inner, object(additionalProperties))));
  if (schema.type !== undefined) message(writer, 22, (inner) => text(inner, 1, schema.type));
  if (schema.items !== undefined) message(writer, 23, (holder) => message(holder, 1, (inner) => schemaNode(inner, object(schema.items))));
  for (const part of list(schema.allOf)) message(writer, 24, (inner) => schemaNode(inner, object(part)));
  if (schema.properties !== undefined) message(writer, 25, (inner) => schemas(inner, object(schema.properties)));
  extensions(writer, 31, schema);
}
