import { isJsonObject, isNumeric, type Json, type JsonObject } from '@dure/api';
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
 * An OpenAPI 3.0 document in gnostic's protobuf form: field numbers are those of its OpenAPIv3.proto. Only what our documents contain is written.
 * @see https://github.com/google/gnostic-models
 */
export function encodeDocument(document: JsonObject): Uint8Array {
  return encoded((writer) => {
    text(writer, 1, document.openapi);
    const { title, version } = object(document.info);
    message(writer, 2, (info) => {
      text(info, 1, title);
      text(info, 6, version);
    });
    message(writer, 4, (paths) => {
      for (const [path, item] of Object.entries(object(document.paths))) named(paths, 1, path, (value) => pathItem(value, object(item)));
    });
    const { schemas, securitySchemes } = object(document.components);
    message(writer, 5, (components) => {
      message(components, 1, (inner) => namedSchemas(inner, object(schemas)));
      message(components, 7, (inner) => {
        for (const [name, scheme] of Object.entries(object(securitySchemes)))
          named(inner, 1, name, (union) => message(union, 1, (value) => securityScheme(value, object(scheme))));
      });
    });
  });
}

function pathItem(writer: WireWriter, item: JsonObject): void {
  for (const [method, number] of [
    ['get', 4],
    ['put', 5],
    ['post', 6],
    ['delete', 7],
    ['patch', 10],
  ] as const) {
    const found = item[method];
    if (found !== undefined) message(writer, number, (inner) => operation(inner, object(found)));
  }
  parameters(writer, 13, item.parameters);
}

function operation(writer: WireWriter, value: JsonObject): void {
  for (const tag of list(value.tags)) text(writer, 1, tag);
  text(writer, 3, value.description);
  text(writer, 5, value.operationId);
  parameters(writer, 6, value.parameters);
  const { requestBody } = value;
  if (requestBody !== undefined) {
    const { content, required } = object(requestBody);
    message(writer, 7, (union) =>
      message(union, 1, (body) => {
        mediaTypes(body, 2, object(content));
        flag(body, 3, required);
      }),
    );
  }
  message(writer, 8, (responses) => {
    for (const [code, response] of Object.entries(object(value.responses))) {
      const { description, content } = object(response);
      named(responses, 2, code, (union) =>
        message(union, 1, (inner) => {
          text(inner, 1, description);
          if (content !== undefined) mediaTypes(inner, 3, object(content));
        }),
      );
    }
  });
  extensions(writer, 13, value);
}

function parameters(writer: WireWriter, number: number, given: Json | undefined): void {
  for (const item of list(given)) {
    const { name, in: place, description, required, schema } = object(item);
    message(writer, number, (union) =>
      message(union, 1, (parameter) => {
        text(parameter, 1, name);
        text(parameter, 2, place);
        text(parameter, 3, description);
        flag(parameter, 4, required);
        message(parameter, 10, (inner) => schemaOrReference(inner, object(schema)));
      }),
    );
  }
}

function mediaTypes(writer: WireWriter, number: number, content: JsonObject): void {
  message(writer, number, (types) => {
    for (const [type, value] of Object.entries(content))
      named(types, 1, type, (inner) => message(inner, 1, (union) => schemaOrReference(union, object(object(value).schema))));
  });
}

function securityScheme(writer: WireWriter, { type, description, name, in: place }: JsonObject): void {
  text(writer, 1, type);
  text(writer, 2, description);
  text(writer, 3, name);
  text(writer, 4, place);
}

function namedSchemas(writer: WireWriter, schemas: JsonObject): void {
  for (const [name, schema] of Object.entries(schemas)) named(writer, 1, name, (union) => schemaOrReference(union, object(schema)));
}

function schemaOrReference(writer: WireWriter, schema: JsonObject): void {
  if (schema.$ref === undefined) message(writer, 1, (inner) => schemaNode(inner, schema));
  else message(writer, 2, (inner) => text(inner, 1, schema.$ref));
}

function schemaNode(writer: WireWriter, schema: JsonObject): void {
  flag(writer, 1, schema.nullable);
  text(writer, 9, schema.title);
  for (const [field, number] of [
    ['multipleOf', 10],
    ['maximum', 11],
    ['minimum', 13],
  ] as const) {
    double(writer, number, schema[field]);
  }
  flag(writer, 12, schema.exclusiveMaximum);
  flag(writer, 14, schema.exclusiveMinimum);
  for (const [field, number] of [
    ['maxLength', 15],
    ['minLength', 16],
    ['maxItems', 18],
    ['minItems', 19],
    ['maxProperties', 21],
    ['minProperties', 22],
  ] as const) {
    integer(writer, number, schema[field]);
  }
  text(writer, 17, schema.pattern);
  flag(writer, 20, schema.uniqueItems);
  for (const name of list(schema.required)) text(writer, 23, name);
  for (const value of list(schema.enum)) any(writer, 24, value);
  text(writer, 25, schema.type);
  for (const [field, number] of [
    ['allOf', 26],
    ['oneOf', 27],
    ['anyOf', 28],
  ] as const) {
    for (const part of list(schema[field])) message(writer, number, (union) => schemaOrReference(union, object(part)));
  }
  if (schema.not !== undefined) message(writer, 29, (inner) => schemaNode(inner, object(schema.not)));
  if (schema.items !== undefined)
    message(writer, 30, (holder) => message(holder, 1, (union) => schemaOrReference(union, object(schema.items))));
  if (schema.properties !== undefined) message(writer, 31, (inner) => namedSchemas(inner, object(schema.properties)));
  const { additionalProperties } = schema;
  if (typeof additionalProperties === 'boolean') message(writer, 32, (item) => choice(item, 2, additionalProperties));
  else if (isJsonObject(additionalProperties))
    message(writer, 32, (item) => message(item, 1, (union) => schemaOrReference(union, additionalProperties)));
  scalar(writer, 33, schema.default);
  text(writer, 34, schema.description);
  text(writer, 35, schema.format);
  extensions(writer, 36, schema);
}

/** The form has no words for defaults that are lists or objects. */
function scalar(writer: WireWriter, number: number, value: Json | undefined): void {
  if (isNumeric(value)) message(writer, number, (inner) => double(inner, 1, Number(value)));
  else if (typeof value === 'boolean') message(writer, number, (inner) => choice(inner, 2, value));
  else if (typeof value === 'string') message(writer, number, (inner) => text(inner, 3, value));
}
