import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { validateCustomResourceDefinition } from './custom-resource-validation.ts';
import { validateStructuralSchema } from './structural-schema-validation.ts';

const shown = (errors: readonly { field: string; message: string }[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);

/** Faults of a schema that has `node` at `.a`. */
function faults(node: JsonObject): string[] {
  return shown(validateStructuralSchema({ type: 'object', properties: { a: node } }, 's')).map((fault) =>
    fault.replaceAll('s.properties[a]', 'a'),
  );
}

describe('a structural schema', () => {
  it.each<[string, JsonObject]>([
    ['an integer or a string', { 'x-kubernetes-int-or-string': true }],
    ['the same in full', { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true }],
    [
      'the same within allOf',
      { allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: '^1' }], 'x-kubernetes-int-or-string': true },
    ],
    ['anything', { 'x-kubernetes-preserve-unknown-fields': true }],
    [
      'conditions on known fields',
      { type: 'object', properties: { b: { type: 'string' } }, anyOf: [{ required: ['b'] }, { properties: { b: { enum: ['x'] } } }] },
    ],
    [
      'a list of maps',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } },
      },
    ],
    [
      'a default for the key instead',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', properties: { k: { type: 'string', default: 'x' } } },
      },
    ],
    ['an embedded object', { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }],
    ['defaults within defaults', { type: 'object', default: {}, required: ['b'], properties: { b: { type: 'string', default: 'x' } } }],
    ['a pattern with many counts', { type: 'string', pattern: '^[a-z]{1,63}(\\.[a-z]{1,63}){1,10}:[0-9]{1,5}/[a-z]{1,253}$' }],
  ])('may be %s', (_name, node) => {
    expect(faults(node)).toEqual([]);
  });

  it.each<[string, JsonObject, string[]]>([
    ['no type', {}, ['a.type: Required value: must not be empty for specified object fields']],
    [
      'an unknown type',
      { type: 'thing' },
      ['a.type: Unsupported value: "thing": supported values: "array", "boolean", "integer", "number", "object", "string"'],
    ],
    ['a list of nothing', { type: 'array' }, ['a.items: Required value: must be specified']],
    ['items without a type', { type: 'array', items: {} }, ['a.items.type: Required value: must not be empty for specified array items']],
    ['references', { type: 'object', $ref: '#/x' }, ['a.$ref: Forbidden: $ref is not supported']],
    [
      'unique items',
      { type: 'array', uniqueItems: true, items: { type: 'string' } },
      ['a.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic'],
    ],
    [
      'closed objects',
      { type: 'object', additionalProperties: false },
      ['a.additionalProperties: Forbidden: additionalProperties cannot be set to false'],
    ],
    [
      'fields and free keys',
      { type: 'object', properties: {}, additionalProperties: { type: 'string' } },
      ['a.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive'],
    ],
    [
      'types within conditions',
      { type: 'string', anyOf: [{ type: 'string' }] },
      ['a.anyOf[0].type: Forbidden: must be empty to be structural'],
    ],
    ['defaults within conditions', { type: 'string', not: { default: 'x' } }, ['a.not.default: Forbidden: must be empty to be structural']],
    [
      'fields known to conditions only',
      { type: 'object', oneOf: [{ properties: { b: {} } }] },
      ['a.oneOf[0].properties[b]: Required value: because it is defined in a.oneOf[0].properties[b]'],
    ],
    [
      'keys that a list has not',
      { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items: { type: 'object' } },
      ['a.x-kubernetes-list-map-keys[0]: Invalid value: "k": entries must all be names of item properties'],
    ],
    [
      'a list of maps without keys',
      { type: 'array', 'x-kubernetes-list-type': 'map', items: { type: 'object' } },
      ['a.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map'],
    ],
    [
      'a set of open objects',
      { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'object' } },
      ['a.items.x-kubernetes-map-type: Invalid value: "": must be atomic as item of a list with x-kubernetes-list-type=set'],
    ],
    [
      'an embedded object of nothing',
      { type: 'object', 'x-kubernetes-embedded-resource': true },
      [
        'a.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ],
    ],
    [
      'a type beside int-or-string',
      { type: 'string', 'x-kubernetes-int-or-string': true },
      ['a.type: Invalid value: "string": must be empty if x-kubernetes-int-or-string is true'],
    ],
    [
      'a default of another type',
      { type: 'integer', default: 'x' },
      ['a.default: Invalid value: "string": a.default in body must be of type integer: "string"'],
    ],
    [
      'a default that would be pruned',
      { type: 'object', default: { x: 1 }, properties: { b: { type: 'string' } } },
      ['a.default: Invalid value: {"x":1}: must not have unknown fields'],
    ],
    [
      'preserving explicitly nothing',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': false },
      ['a.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined'],
    ],
  ])('may not be or have %s', (_name, node, wanted) => {
    expect(faults(node)).toEqual(wanted);
  });

  it('has patterns that can be matched', () => {
    expect(faults({ type: 'string', pattern: '(' })[0]).toContain("must be a valid regular expression, but isn't");
    expect(faults({ type: 'string', pattern: '((a{100}){100}){100}' })[0]).toContain('too large');
  });

  it('says of metadata nothing but names, and is an object', () => {
    const metadata = (properties: JsonObject) =>
      shown(validateStructuralSchema({ type: 'object', properties: { metadata: { type: 'object', properties } } }, 's'));
    expect(metadata({ name: { type: 'string', maxLength: 10 } })).toEqual([]);
    expect(metadata({ labels: { type: 'object' } })[0]).toContain(
      's.properties[metadata]: Forbidden: must not specify anything other than name and generateName',
    );
    expect(shown(validateStructuralSchema({ type: 'string' }, 's'))).toEqual([
      's.type: Invalid value: "string": must be object at the root',
    ]);
  });
});

describe('a definition', () => {
  const version = (more: JsonObject = {}): JsonObject => ({
    name: 'v1',
    served: true,
    storage: true,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: { spec: { type: 'object', properties: { c: { type: 'string' }, o: { type: 'object' } } } },
      },
    },
    ...more,
  });
  const definition = (spec: JsonObject, metadata: JsonObject = {}): JsonObject => ({
    metadata: { name: 'as.example.org', ...metadata },
    spec: {
      group: 'example.org',
      scope: 'Namespaced',
      names: { plural: 'as', singular: 'a', kind: 'A', listKind: 'AList' },
      conversion: { strategy: 'None' },
      versions: [version()],
      ...spec,
    },
  });
  const at = 'spec.versions[0]';

  it.each<[string, JsonObject, string[]]>([
    ['is whole', {}, []],
    [
      'has two versions to store',
      { versions: [version(), version({ name: 'v2' })] },
      ['spec.versions: Invalid value: ["v1","v2"]: must have exactly one version marked as storage version'],
    ],
    [
      'preserves fields the old way',
      { preserveUnknownFields: true },
      [
        'spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ],
    ],
    [
      'has a kind like its list',
      { names: { plural: 'as', singular: 'a', kind: 'A', listKind: 'A' } },
      ['spec.names.listKind: Invalid value: "A": kind and listKind may not be the same'],
    ],
    [
      'has a webhook',
      { conversion: { strategy: 'Webhook', webhook: { clientConfig: { url: 'https://x' }, conversionReviewVersions: ['v1'] } } },
      [],
    ],
    [
      'has a webhook nowhere, that takes nothing',
      { conversion: { strategy: 'Webhook', webhook: { clientConfig: {}, conversionReviewVersions: ['v7'] } } },
      [
        'spec.conversion.webhook.clientConfig: Required value: exactly one of url or service is required',
        'spec.conversion.webhook.conversionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1',
      ],
    ],
    [
      'prints what is no path',
      { versions: [version({ additionalPrinterColumns: [{ name: 'C', type: 'string', jsonPath: 'spec.c' }] })] },
      [`${at}.additionalPrinterColumns[0].jsonPath: Invalid value: "spec.c": is an invalid path`],
    ],
    [
      'prints a broken path',
      { versions: [version({ additionalPrinterColumns: [{ name: 'C', type: 'string', jsonPath: '.a[' }] })] },
      [`${at}.additionalPrinterColumns[0].jsonPath: Invalid value: ".a[": is an invalid path`],
    ],
    [
      'scales by an index',
      { versions: [version({ subresources: { scale: { specReplicasPath: '.spec.a[0]', statusReplicasPath: '.status.n' } } })] },
      [`${at}.subresources.scale.specReplicasPath: Invalid value: ".spec.a[0]": is an invalid path`],
    ],
    [
      'selects by an object',
      { versions: [version({ selectableFields: [{ jsonPath: '.spec.o' }] })] },
      [`${at}.selectableFields[0].jsonPath: Invalid value: ".spec.o": must point to a field of type string, boolean or integer`],
    ],
    [
      'selects by nothing',
      { versions: [version({ selectableFields: [{ jsonPath: '.spec.n' }] })] },
      [`${at}.selectableFields[0].jsonPath: Invalid value: ".spec.n": is an invalid path: does not refer to a valid field`],
    ],
    [
      'selects by one field twice',
      { versions: [version({ selectableFields: [{ jsonPath: '.spec.c' }, { jsonPath: '.spec.c' }] })] },
      [`${at}.selectableFields[1].jsonPath: Duplicate value: ".spec.c"`],
    ],
  ])('that %s', (_name, spec, wanted) => {
    expect(shown(validateCustomResourceDefinition(definition(spec)))).toEqual(wanted);
  });

  it('of a protected group says who approved it', () => {
    const own = (annotations: JsonObject) =>
      shown(validateCustomResourceDefinition(definition({ group: 'x.k8s.io' }, { name: 'as.x.k8s.io', annotations })));
    expect(own({})[0]).toContain('metadata.annotations[api-approved.kubernetes.io]: Required value');
    expect(own({ 'api-approved.kubernetes.io': 'https://github.com/x' })).toEqual([]);
  });
});

describe('rules that cost too much', () => {
  const definition = (description: string): JsonObject => ({
    metadata: { name: 'as.b.example' },
    spec: {
      group: 'b.example',
      scope: 'Namespaced',
      names: { plural: 'as', singular: 'a', kind: 'A', listKind: 'AList' },
      conversion: { strategy: 'None' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description,
              properties: {
                spec: {
                  type: 'array',
                  items: { type: 'string', maxLength: 20 },
                  'x-kubernetes-validations': [{ rule: 'self.all(x, x.contains("a"))' }],
                },
              },
            },
          },
        },
      ],
    },
  });

  it('are refused when they come, and stay where their schema stays as it was', () => {
    expect(validateCustomResourceDefinition(definition('one')).map(({ field }) => field)).toEqual([
      'spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule',
    ]);
    expect(validateCustomResourceDefinition(definition('one'), definition('one'))).toEqual([]);
    expect(validateCustomResourceDefinition(definition('two'), definition('one'))).toHaveLength(1);
  });
});
