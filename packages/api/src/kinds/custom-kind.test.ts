import { describe, expect, it } from 'vitest';
import { applyFields } from '../apply/apply.ts';
import type { JsonObject } from '../definition.ts';
import { JsonPathError, parseJsonPath } from '../json-path.ts';
import { KindRegistry } from '../kind-registry.ts';
import { builtinSchemas } from '../schema/builtin-book.ts';
import { builtinKinds } from './builtin.ts';
import { compareVersions, kindFromCustomResource } from './custom-kind.ts';
import { decodeObject } from './decode-object.ts';
import { validateNewObject } from './validate-object.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');

const definition: JsonObject = {
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList', shortNames: ['wd'], categories: ['all'] },
    versions: [
      { name: 'v1beta1', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size', labelSelectorPath: '.status.selector' },
        },
        selectableFields: [{ jsonPath: '.spec.color' }],
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', priority: 1 },
          { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: { size: { type: 'integer' }, color: { type: 'string', default: 'red' } },
              },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

function widgets() {
  const registry = new KindRegistry([...builtinKinds, kindFromCustomResource(definition)]);
  const kind = registry.resource('example.com', 'v1', 'widgets');
  if (kind === undefined) throw new Error('no widgets');
  return kind;
}

function widget(spec: JsonObject, status: JsonObject = {}): JsonObject {
  const metadata = { name: 'w', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' };
  return decodeObject(widgets(), { apiVersion: 'example.com/v1', kind: 'Widget', metadata, spec, status }, builtinSchemas).object;
}

describe('a kind from a CustomResourceDefinition', () => {
  it('says of itself what the definition says', () => {
    expect(widgets().definition).toMatchObject({
      resource: 'widgets',
      shortNames: ['wd'],
      categories: ['all'],
      storageVersion: 'v1',
      scale: { specReplicasPath: 'spec.size', statusReplicasPath: 'status.size', labelSelectorPath: 'status.selector' },
      subresources: [{ name: 'status' }, { name: 'scale' }],
    });
    expect(widgets().definition.versions.map(({ name }) => name)).toEqual(['v1', 'v1beta1']);
  });

  it('decodes, defaults and validates its objects', () => {
    expect(widget({ size: 2 }).spec).toEqual({ size: 2, color: 'red' });
    expect(validateNewObject(widgets(), widget({}))).toEqual([
      { reason: 'FieldValueRequired', field: 'spec.size', message: 'Required value' },
    ]);
  });

  it('prints its columns', () => {
    const object = widget(
      { size: 2 },
      {
        conditions: [
          { type: 'Other', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
    );
    expect(widgets().version.columns.map((column) => [column.name, column.value(object, NOW)])).toEqual([
      ['Name', 'w'],
      ['Size', 2],
      ['Ready', 'True'],
      ['Since', '10m'],
    ]);
    expect(widgets().version.columns[2]?.value(widget({ size: 1 }), NOW)).toBeNull();
  });

  it('has two doors where it has a status', () => {
    const { strategy } = widgets().definition;
    const old = widget({ size: 2 }, { size: 1 });
    strategy.prepareForCreate?.(old);
    expect(old).not.toHaveProperty('status');
    old.status = { size: 1 };
    const changed = { ...structuredClone(old), spec: { size: 3 }, status: { size: 9 } };
    strategy.prepareForUpdate?.(changed, old);
    expect(changed).toMatchObject({ metadata: { generation: 2 }, spec: { size: 3 }, status: { size: 1 } });
    const reported = { ...structuredClone(old), spec: { size: 9 }, status: { size: 2 } };
    strategy.prepareForStatusUpdate?.(reported, old);
    expect(reported).toMatchObject({ metadata: { generation: 1 }, spec: { size: 2 }, status: { size: 2 } });
    expect(strategy.selectableFields?.(old)).toEqual({ 'spec.color': 'red' });
  });

  it('can be applied on the server, metadata owned as everywhere', () => {
    const context = {
      schema: widgets().version.schema,
      book: builtinSchemas,
      manager: 'me',
      apiVersion: 'example.com/v1',
      time: '2026-01-01T00:00:00Z',
    };
    const { object } = applyFields(undefined, { metadata: { name: 'w', finalizers: ['x/y'] }, spec: { size: 1 } }, context, false);
    expect((object.metadata as JsonObject).managedFields).toMatchObject([
      { fieldsV1: { 'f:metadata': { 'f:finalizers': { 'v:"x/y"': {} } }, 'f:spec': { 'f:size': {} } } },
    ]);
  });

  it('orders versions as discovery does', () => {
    expect(['v1alpha1', 'foo', 'v2', 'v1beta2', 'v10', 'v1', 'v1beta10', 'v11alpha2'].toSorted(compareVersions)).toEqual([
      'v10',
      'v2',
      'v1',
      'v1beta10',
      'v1beta2',
      'v11alpha2',
      'v1alpha1',
      'foo',
    ]);
  });
});

describe('JSON paths', () => {
  const value = {
    a: {
      'b.c/d': 1,
      list: [
        { n: 'x', v: 1 },
        { n: 'y', v: 2 },
      ],
    },
  };

  it.each([
    ['.a.list[0].n', ['x']],
    ['{.a.list[-1].v}', [2]],
    ['.a.list[*].n', ['x', 'y']],
    ['.a.list[0:1].n', ['x']],
    ['.a.list[?(@.n=="y")].v', [2]],
    [".a.list[?(@.n!='y')].v", [1]],
    ['.a.list[?(@.v>1)].n', ['y']],
    ['.a.b\\.c/d', [1]],
    ["$.a['b.c/d']", [1]],
    ['.a.nothing.here', []],
    ['.a.list[7]', []],
  ])('%s finds %j', (path, found) => {
    expect(parseJsonPath(path)(value)).toEqual(found);
  });

  it.each(['.a[', '.a[?(x)]', '.a[?(@.b==c)]', '.a]'])('refuses %s', (path) => {
    expect(() => parseJsonPath(path)).toThrow(JsonPathError);
  });

  it('takes no time to refuse a path that was made to take some', () => {
    const before = performance.now();
    expect(() => parseJsonPath(`.a[?(@${'.b'.repeat(5_000)})]`)).toThrow(JsonPathError);
    expect(performance.now() - before).toBeLessThan(500);
  });
});
