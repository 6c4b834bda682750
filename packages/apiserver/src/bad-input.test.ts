import { builtinKinds, builtinSchemas, KindRegistry, StatusError } from '@dure/api';
import { systemRandom } from '@dure/foundation';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBody } from './encoding/body.ts';
import { duplicateKeys } from './encoding/json-text.ts';
import { negotiateOutput } from './encoding/media-type.ts';
import { protobufCodec } from './encoding/protobuf-codec.ts';
import { parseListOptions } from './registry/list-options.ts';
import { parsePatch, patched } from './registry/patch.ts';
import { parseSelection } from './registry/selection.ts';
import { parseRequestInfo } from './request/request-info.ts';
import { testClient } from './testing/test-client.ts';
import { startTestServer } from './testing/test-server.ts';
import { ContinueTokens } from './watch/continue-token.ts';

/** Take a failing run's seed back with DURE_SEED. */
const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const settings = { seed, numRuns: 300 };
const codec = protobufCodec();
const kinds = new KindRegistry(builtinKinds);
const pods = kinds.resource('', 'v1', 'pods');
if (pods === undefined) throw new Error('no Pods');

/** Runs `attempt`; only answers of the API may come out of it. */
function onlyStatuses(attempt: () => unknown): void {
  try {
    attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(StatusError);
    expect((error as StatusError).status.code).toBeLessThan(500);
  }
}

const jsonText = fc.json({ maxDepth: 6 });
const noise = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  jsonText,
  fc.constantFrom('{}', 'null', '[]', '{"metadata":null}', '{"a":', '\u0000', 'k8s\u0000'),
);

const CONFIG_MAPS_PATH = '/api/v1/namespaces/default/configmaps';

describe('a key that stands twice in YAML', () => {
  const TEXT = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice}\ndata:\n  a: b\n  a: c\n';
  it.each([
    { method: 'POST', path: CONFIG_MAPS_PATH, contentType: 'application/yaml' },
    { method: 'PATCH', path: `${CONFIG_MAPS_PATH}/twice`, contentType: 'application/apply-patch+yaml' },
  ])('is refused, warned of or taken in $method $contentType, as the client asked', async ({ method, path, contentType }) => {
    await using server = await startTestServer(new KindRegistry(builtinKinds));
    await using client = testClient(server);
    const send = (validation: string) =>
      client.send(method, `${path}?fieldManager=test&dryRun=All&fieldValidation=${validation}`, { body: TEXT, contentType });
    const strict = await send('Strict');
    expect(strict.json).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(strict.json.message).toContain('line 6: key "a" already set in map');
    const warned = await send('Warn');
    expect(warned).toMatchObject({ status: 201, json: { data: { a: 'c' } } });
    expect(String(warned.headers.warning)).toContain('already set in map');
    expect((await send('Ignore')).headers.warning).toBeUndefined();
  });
});

describe(`hostile input costs an error and nothing else (DURE_SEED=${seed})`, () => {
  it('as a body of any format', () => {
    const types = fc.constantFrom(
      'application/json',
      'application/yaml',
      'application/vnd.kubernetes.protobuf',
      'application/json; charset=utf-8',
      'x/y',
      '',
      ';;;',
    );
    fc.assert(
      fc.property(noise, types, (text, type) => onlyStatuses(() => decodeBody(Buffer.from(text), type, codec))),
      settings,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        onlyStatuses(() => decodeBody(Buffer.concat([Buffer.from('k8s\0'), bytes]), 'application/vnd.kubernetes.protobuf', codec)),
      ),
      settings,
    );
  });

  it('as a bit flipped in a real protobuf body', () => {
    const bytes = Buffer.from(
      codec.encode({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p', labels: { a: 'b' } },
        spec: { containers: [{ name: 'c', ports: [{ containerPort: 1 }] }] },
      }),
    );
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        onlyStatuses(() => decodeBody(changed, 'application/vnd.kubernetes.protobuf', codec));
      }),
      settings,
    );
  });

  it('as a path, a query, a selector, an Accept header or a continue token', () => {
    const tokens = new ContinueTokens(systemRandom.bytes(32));
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'DELETE', 'PATCH', 'BREW'),
        fc.array(
          fc.oneof(
            fc.string({ maxLength: 12 }),
            fc.constantFrom('api', 'apis', 'v1', 'namespaces', 'pods', 'watch', 'proxy', '', '%', '%2f', '..'),
          ),
        ),
        (method, segments) => onlyStatuses(() => parseRequestInfo(method, `/${segments.join('/')}`, new URLSearchParams())),
      ),
      settings,
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60 }), (labels, fields) =>
        onlyStatuses(() => parseSelection(pods, labels, fields)),
      ),
      settings,
    );
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('limit', 'continue', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'timeoutSeconds'),
          fc.string({ maxLength: 20 }),
        ),
        fc.boolean(),
        (query, watch) => onlyStatuses(() => parseListOptions(new URLSearchParams(query), watch)),
      ),
      settings,
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (accept) =>
        onlyStatuses(() => negotiateOutput(accept, new URLSearchParams(), '', { tables: true, metadataOnly: true, protobuf: true })),
      ),
      settings,
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), (token) => {
        expect(() => tokens.decode(token, '/registry/pods/')).toThrow(StatusError);
      }),
      settings,
    );
  });

  it('as a patch of any kind', () => {
    const types = fc.constantFrom(
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
      'application/apply-patch+yaml',
    );
    const operations = fc.array(
      fc.record({
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
        path: fc.constantFrom('', '/spec', '/spec/containers/0', '/spec/containers/-', '/__proto__/x', 'no', '/a~2b'),
        from: fc.constantFrom('', '/spec', '/metadata'),
        value: fc.jsonValue(),
      }),
      { maxLength: 6 },
    );
    const texts = fc.oneof(
      noise,
      operations.map((list) => JSON.stringify(list)),
    );
    fc.assert(
      fc.property(texts, types, (text, type) => {
        onlyStatuses(() => {
          const patch = parsePatch(type, Buffer.from(text), true);
          const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c' }] } };
          if (patch.kind !== 'apply') patched(patch, object, pods.version.schema, builtinSchemas);
        });
        expect(({} as { x?: unknown }).x).toBeUndefined();
      }),
      settings,
    );
  });
});

describe(`properties (DURE_SEED=${seed})`, () => {
  it('a text without repeated keys has none found', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        expect(duplicateKeys(JSON.stringify(value))).toEqual([]);
      }),
      settings,
    );
  });

  it('a continue token says what it was given, for its own list only', () => {
    const tokens = new ContinueTokens(systemRandom.bytes(32));
    fc.assert(
      fc.property(fc.nat(), fc.string({ maxLength: 40 }), (revision, after) => {
        const token = tokens.encode({ revision, after }, '/a/');
        expect(tokens.decode(token, '/a/')).toEqual({ revision, after });
        expect(() => tokens.decode(token, '/b/')).toThrow(StatusError);
      }),
      settings,
    );
  });
});
