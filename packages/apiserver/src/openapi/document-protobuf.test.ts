import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { encodeDocument } from './document-protobuf.ts';

/** The part of gnostic's OpenAPIv3.proto that documents of an API server use. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Document { string openapi = 1; Info info = 2; Paths paths = 4; Components components = 5; }
  message Info { string title = 1; string version = 6; }
  message Paths { repeated NamedPathItem path = 1; }
  message NamedPathItem { string name = 1; PathItem value = 2; }
  message PathItem { Operation get = 4; Operation patch = 10; repeated ParameterOrReference parameters = 13; }
  message Operation { repeated string tags = 1; string operation_id = 5; repeated ParameterOrReference parameters = 6;
    RequestBodyOrReference request_body = 7; Responses responses = 8; repeated NamedAny specification_extension = 13; }
  message NamedAny { string name = 1; Any value = 2; }
  message Any { string yaml = 2; }
  message ParameterOrReference { Parameter parameter = 1; }
  message Parameter { string name = 1; string in = 2; bool required = 4; SchemaOrReference schema = 10; }
  message RequestBodyOrReference { RequestBody request_body = 1; }
  message RequestBody { MediaTypes content = 2; bool required = 3; }
  message MediaTypes { repeated NamedMediaType additional_properties = 1; }
  message NamedMediaType { string name = 1; MediaType value = 2; }
  message MediaType { SchemaOrReference schema = 1; }
  message Responses { repeated NamedResponseOrReference response_or_reference = 2; }
  message NamedResponseOrReference { string name = 1; ResponseOrReference value = 2; }
  message ResponseOrReference { Response response = 1; }
  message Response { string description = 1; MediaTypes content = 3; }
  message Components { SchemasOrReferences schemas = 1; SecuritySchemesOrReferences security_schemes = 7; }
  message SchemasOrReferences { repeated NamedSchemaOrReference additional_properties = 1; }
  message NamedSchemaOrReference { string name = 1; SchemaOrReference value = 2; }
  message SchemaOrReference { Schema schema = 1; Reference reference = 2; }
  message Reference { string _ref = 1; }
  message Schema { bool nullable = 1; double minimum = 13; int64 max_length = 15; repeated string required = 23; repeated Any enum = 24; string type = 25;
    repeated SchemaOrReference all_of = 26; repeated SchemaOrReference any_of = 28; Schema not = 29; ItemsItem items = 30; Properties properties = 31;
    AdditionalPropertiesItem additional_properties = 32; DefaultType default = 33; string description = 34; string format = 35;
    repeated NamedAny specification_extension = 36; }
  message ItemsItem { repeated SchemaOrReference schema_or_reference = 1; }
  message Properties { repeated NamedSchemaOrReference additional_properties = 1; }
  message AdditionalPropertiesItem { oneof oneof { SchemaOrReference schema_or_reference = 1; bool boolean = 2; } }
  message DefaultType { oneof oneof { double number = 1; bool boolean = 2; string string = 3; } }
  message SecuritySchemesOrReferences { repeated NamedSecuritySchemeOrReference additional_properties = 1; }
  message NamedSecuritySchemeOrReference { string name = 1; SecuritySchemeOrReference value = 2; }
  message SecuritySchemeOrReference { SecurityScheme security_scheme = 1; }
  message SecurityScheme { string type = 1; string name = 3; string in = 4; }
`);

describe('an OpenAPI 3.0 document as protobuf', () => {
  it('says what the JSON says', () => {
    const target = '#/components/schemas/Thing';
    const bytes = encodeDocument({
      openapi: '3.0.0',
      info: { title: 'T', version: 'v' },
      paths: {
        '/x': {
          parameters: [{ name: 'pretty', in: 'query', schema: { type: 'string' } }],
          patch: {
            tags: ['t'],
            operationId: 'patchX',
            'x-kubernetes-action': 'patch',
            requestBody: { required: true, content: { 'application/json': { schema: { $ref: target } } } },
            responses: { '200': { description: 'OK', content: { 'application/json': { schema: { $ref: target } } } } },
          },
        },
      },
      components: {
        schemas: {
          Thing: {
            type: 'object',
            description: 'A thing.',
            required: ['a'],
            properties: {
              a: { allOf: [{ $ref: target }], default: {} },
              b: { type: 'integer', format: 'int32', minimum: 1, default: 0, nullable: true },
              c: { type: 'array', items: { type: 'string', maxLength: 5, enum: ['x'], default: 'y' } },
              d: { type: 'object', additionalProperties: { $ref: target }, not: { type: 'string' } },
              e: { additionalProperties: false, anyOf: [{ type: 'string' }], default: false },
            },
            'x-kubernetes-group-version-kind': [{ kind: 'Thing' }],
          },
        },
        securitySchemes: { BearerToken: { type: 'apiKey', name: 'authorization', in: 'header' } },
      },
    });
    const type = root.lookupType('Document');
    const document = type.toObject(type.decode(bytes), { longs: Number, oneofs: false });
    const body = { additionalProperties: [{ name: 'application/json', value: { schema: { reference: { Ref: target } } } }] };
    const refs = JSON.parse(JSON.stringify(document).replaceAll('"_ref"', '"Ref"'));
    expect(refs.info).toEqual({ title: 'T', version: 'v' });
    expect(refs.paths.path[0]).toEqual({
      name: '/x',
      value: {
        parameters: [{ parameter: { name: 'pretty', in: 'query', schema: { schema: { type: 'string' } } } }],
        patch: {
          tags: ['t'],
          operationId: 'patchX',
          specificationExtension: [{ name: 'x-kubernetes-action', value: { yaml: 'patch\n' } }],
          requestBody: { requestBody: { required: true, content: body } },
          responses: { responseOrReference: [{ name: '200', value: { response: { description: 'OK', content: body } } }] },
        },
      },
    });
    const [thing] = refs.components.schemas.additionalProperties;
    expect(thing.value.schema).toMatchObject({ type: 'object', description: 'A thing.', required: ['a'] });
    const fields = Object.fromEntries(
      thing.value.schema.properties.additionalProperties.map(({ name, value }: { name: string; value: { schema: unknown } }) => [
        name,
        value.schema,
      ]),
    );
    const reference = { reference: { Ref: target } };
    expect(fields).toEqual({
      a: { allOf: [reference] },
      b: { type: 'integer', format: 'int32', minimum: 1, nullable: true, default: { number: 0 } },
      c: {
        type: 'array',
        items: { schemaOrReference: [{ schema: { type: 'string', maxLength: 5, enum: [{ yaml: 'x\n' }], default: { string: 'y' } } }] },
      },
      d: { type: 'object', additionalProperties: { schemaOrReference: reference }, not: { type: 'string' } },
      e: { additionalProperties: { boolean: false }, anyOf: [{ schema: { type: 'string' } }], default: { boolean: false } },
    });
    expect(refs.components.securitySchemes.additionalProperties[0].value.securityScheme).toEqual({
      type: 'apiKey',
      name: 'authorization',
      in: 'header',
    });
  });
});
