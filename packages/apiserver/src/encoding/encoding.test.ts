import { builtinKinds, type JsonObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { databaseDefinition } from '../testing/sample-definitions.ts';
import { duplicateKeys, JsonTextError, parseJson } from './json-text.ts';
import { negotiateOutput } from './media-type.ts';
import { ProtobufError, protobufCodec } from './protobuf-codec.ts';
import { parseYaml, renderYaml, repeatedYamlKey, YamlTextError } from './yaml-text.ts';

describe('JSON text', () => {
  it('finds keys that stand twice, wherever they are', () => {
    expect(duplicateKeys('{"a":1,"b":{"c":1,"c":2},"l":[{"x":1},{"x":1,"x":2}],"a":3,"s":"\\"a\\":{"}')).toEqual(['b.c', 'l[1].x', 'a']);
    expect(duplicateKeys('{"a":{"a":{"a":1}}}')).toEqual([]);
  });

  it('refuses what is too deep, and drops what would reach the prototype', () => {
    expect(() => parseJson(`${'['.repeat(1000)}${']'.repeat(1000)}`)).toThrow(JsonTextError);
    expect(Object.keys(parseJson('{"__proto__":{"x":1},"a":1}') as object)).toEqual(['a']);
  });
});

describe('integers in JSON text', () => {
  it.each<[text: string, value: unknown]>([
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['[9223372036854775807,-9223372036854775808]', [9223372036854775807n, -9223372036854775808n]],
    ['[18446744073709551615,-9223372036854775809]', [2 ** 64, -(2 ** 63)]],
    ['[1.12345678901234567890,1234567890123456789e3]', [Number('1.12345678901234567890'), Number('1234567890123456789e3')]],
    ['"9223372036854775807"', '9223372036854775807'],
  ])('of %s are kept where they have 64 bits', (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  it.each(['{"a":[1,-1e999]}', '1E+400', `[${'9'.repeat(400)}]`])('refuses what is beyond all doubles: %s', (text) => {
    expect(() => parseJson(text)).toThrow(JsonTextError);
  });

  it('takes what only looks so', () => {
    expect(parseJson('{"id":"4e999","n":1e300,"m":-1e-999}')).toEqual({ id: '4e999', n: 1e300, m: -0 });
    expect(() => parseYaml('a: .nan')).toThrow(/unsupported value: NaN/);
    expect(parseYaml('{a: 1e999}')).toEqual({ a: '1e999' });
  });

  it('do not keep what would reach the prototype', () => {
    const value = parseJson('{"a":[{"__proto__":{"n":9223372036854775807},"\\u005f_proto__":1,"b":9223372036854775807}]}');
    expect(value).toEqual({ a: [{ b: 9223372036854775807n }] });
    expect(Object.keys((value as { a: object[] }).a[0] ?? {})).toEqual(['b']);
  });
});

describe('YAML text', () => {
  it('keeps integers of 64 bits both ways', () => {
    const text = 'a: 9223372036854775807\nb: -0b11\nc: [+9007199254740993, 0x7fffffffffffffff, 18446744073709551615]\n';
    const value = { a: 9223372036854775807n, b: '-0b11', c: [9007199254740993n, 9223372036854775807n, 2 ** 64] };
    expect(parseYaml(text)).toEqual(value);
    expect(parseYaml(renderYaml(value))).toEqual(value);
    expect(renderYaml({ a: -9223372036854775808n, text: '9223372036854775807' })).toBe(
      "a: -9223372036854775808\ntext: '9223372036854775807'\n",
    );
  });

  it('reads booleans and merges as kubectl does, and leaves times as text', () => {
    expect(parseYaml('a: yes\nb: off\nc: 2020-01-01T00:00:00Z\nd: &x {k: 1}\ne: {<<: *x}')).toEqual({
      a: true,
      b: false,
      c: '2020-01-01T00:00:00Z',
      d: { k: 1 },
      e: { k: 1 },
    });
  });

  it('takes the later of two keys, and names the first that stands twice', () => {
    const text = 'a: 1\nb:\n  "c d": 1\n  "c d": 2\n';
    expect(parseYaml(text)).toEqual({ a: 1, b: { 'c d': 2 } });
    expect(repeatedYamlKey(text)).toBe('yaml: unmarshal errors:\n  line 4: key "c d" already set in map');
    expect(repeatedYamlKey('{"a": 1,\n "a": 2}')).toBe('yaml: unmarshal errors:\n  line 2: key "a" already set in map');
    expect(repeatedYamlKey('a: 1\nb: 1\n')).toBeUndefined();
    expect(parseYaml('{a: yes, "b": 0x10}')).toEqual({ a: true, b: 16 });
    expect(parseYaml('{"a": "yes", "b": 16}')).toEqual({ a: 'yes', b: 16 });
    expect(repeatedYamlKey('{"a": {"k": 1}, "b": {"k": 1}}')).toBeUndefined();
    expect(repeatedYamlKey('{a: 1, a: 2}')).toContain('key "a" already set in map');
  });

  it('refuses aliases that multiply', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1)
      lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
    expect(() => parseYaml(lines.join('\n'))).toThrow(YamlTextError);
  });
});

describe('negotiation', () => {
  const all = { tables: true, metadataOnly: true, protobuf: true };
  it.each([
    [undefined, { format: 'json' }],
    ['*/*', { format: 'json' }],
    ['application/yaml', { format: 'yaml' }],
    ['application/vnd.kubernetes.protobuf,application/json', { format: 'protobuf' }],
    ['application/json;q=0.5,application/yaml', { format: 'yaml' }],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', { format: 'json', as: 'Table', asVersion: 'v1' }],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', { format: 'json' }],
    ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', { as: 'PartialObjectMetadata' }],
  ])('%s', (accept, form) => {
    expect(negotiateOutput(accept, new URLSearchParams(), '', all)).toMatchObject(form);
  });

  it('refuses what it cannot write', () => {
    expect(() => negotiateOutput('text/html', new URLSearchParams(), '', all)).toThrow(/media types/);
    expect(() => negotiateOutput('application/vnd.kubernetes.protobuf', new URLSearchParams(), '', { ...all, protobuf: false })).toThrow(
      /media types/,
    );
  });
});

describe('protobuf', () => {
  const codec = protobufCodec();

  it('knows every built-in kind', () => {
    const unknown = builtinKinds.flatMap(({ group, kind, versions }) =>
      versions
        .filter(({ name }) => !codec.knows(group === '' ? name : `${group}/${name}`, kind))
        .map(({ name }) => `${group}/${name} ${kind}`),
    );
    expect(unknown).toEqual([]);
  });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'default',
      creationTimestamp: '2024-01-02T03:04:05Z',
      labels: { a: 'b' },
      managedFields: [{ manager: 'm', fieldsV1: { 'f:spec': {} } }],
    },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'c',
          resources: { limits: { cpu: '100m' } },
          livenessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 5 },
          readinessProbe: { tcpSocket: { port: 80 } },
          env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k', optional: false } } }],
        },
      ],
      volumes: [{ name: 'v', emptyDir: {} }],
      ephemeralContainers: [{ name: 'debug', targetContainerName: 'c' }],
    },
  };

  it('gives back what it was given, with inline structs, pointers to zero and special types', () => {
    expect(codec.decode(codec.encode(pod))).toEqual(pod);
  });

  it('keeps the schemas of definitions, which JSON writes in ways of their own', () => {
    const definition = databaseDefinition((spec) => {
      const [version] = spec.versions as JsonObject[];
      const { openAPIV3Schema } = (version as JsonObject).schema as { openAPIV3Schema: { properties: JsonObject } };
      Object.assign(openAPIV3Schema.properties, {
        anything: { 'x-kubernetes-preserve-unknown-fields': true, default: { a: [1, null] } },
        closed: { type: 'object', additionalProperties: false },
        open: { type: 'object', additionalProperties: true, nullable: true },
        choice: { enum: ['a', 1, null, { b: true }], default: 'a' },
        list: { type: 'array', items: { type: 'string', maxLength: 0 }, 'x-kubernetes-list-type': 'set' },
      });
    });
    const object = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', ...definition };
    expect(codec.decode(codec.encode(object))).toEqual(object);
  });

  it('keeps objects within objects', () => {
    const revision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { name: 'r' },
      data: { spec: { template: { $patch: 'replace', metadata: { labels: { a: 'b' } } } } },
      revision: 3,
    };
    expect(codec.decode(codec.encode(revision))).toEqual(revision);
  });

  it('keeps bytes, micro times and durations', () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'Yg==', empty: '' }, type: 'Opaque' };
    expect(codec.decode(codec.encode(secret))).toEqual(secret);
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l' },
      spec: { renewTime: '2024-01-02T03:04:05.678901Z', leaseDurationSeconds: 40 },
    };
    expect(codec.decode(codec.encode(lease))).toEqual(lease);
  });

  it('reads the bytes that kubectl sends for a namespace', () => {
    // k8s\0, Unknown{typeMeta{v1, Namespace}, raw{metadata{name: "demo", ...}, spec, status}}, field by field.
    const raw = Buffer.from([
      0x0a,
      0x10,
      0x0a,
      0x04,
      ...Buffer.from('demo'),
      0x12,
      0x00,
      0x1a,
      0x00,
      0x22,
      0x00,
      0x2a,
      0x00,
      0x12,
      0x00,
      0x1a,
      0x02,
      0x0a,
      0x00,
    ]);
    const typeMeta = Buffer.from([0x0a, 0x02, ...Buffer.from('v1'), 0x12, 0x09, ...Buffer.from('Namespace')]);
    const bytes = Buffer.from([
      ...Buffer.from('k8s\0'),
      0x0a,
      typeMeta.length,
      ...typeMeta,
      0x12,
      raw.length,
      ...raw,
      0x1a,
      0x00,
      0x22,
      0x00,
    ]);
    expect(codec.decode(bytes)).toEqual({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } });
  });

  it('answers every cut of a message with an error or an object, never anything else', () => {
    const bytes = codec.encode(pod);
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        codec.decode(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtobufError);
      }
    }
  });
});
