import { describe, expect, it } from 'vitest';
import type { JsonObject, SchemaNode } from '../definition.ts';
import { builtinSchemas } from './builtin-book.ts';
import { DecodeError, decodeBySchema } from './decode.ts';

const core = (kind: string): SchemaNode => ({ ref: `io.k8s.api.core.v1.${kind}` });
const deployment: SchemaNode = { ref: 'io.k8s.api.apps.v1.Deployment' };

function decode(value: unknown, schema: SchemaNode = core('Pod')): JsonObject {
  return decodeBySchema(value, schema, builtinSchemas).object;
}

describe('decoding a built-in kind', () => {
  it('takes nulls for absent, as generated manifests have them', () => {
    expect(decode({ kind: 'Pod', metadata: { name: 'a', creationTimestamp: null }, spec: { containers: null }, status: null })).toEqual({
      kind: 'Pod',
      metadata: { name: 'a' },
      spec: {},
      status: {},
    });
  });

  it('gives elements of lists and maps their zero value for null', () => {
    const configMap = decode({ data: { a: null } }, core('ConfigMap'));
    expect(configMap.data).toEqual({ a: '' });
    expect(decode({ spec: { containers: [null] } }).spec).toEqual({ containers: [{ name: '', resources: {} }] });
  });

  it('names unknown fields with their whole path, in order', () => {
    const { unknown, object } = decodeBySchema(
      {
        foo: 1,
        metadata: { bar: 1 },
        spec: {
          containers: [
            { name: 'a', baz: 1 },
            { name: 'b', ports: [{ x: 1 }] },
          ],
        },
      },
      core('Pod'),
      builtinSchemas,
    );
    expect(unknown).toEqual(['foo', 'metadata.bar', 'spec.containers[0].baz', 'spec.containers[1].ports[0].x']);
    expect(JSON.stringify(object)).not.toMatch(/foo|bar|baz|"x"/);
  });

  it.each([
    [
      { spec: { replicas: 'x' } },
      deployment,
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 1.5 } },
      deployment,
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { containers: {} } },
      core('Pod'),
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      core('Pod'),
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      { spec: { hostNetwork: 'yes' } },
      core('Pod'),
      'json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool',
    ],
    [{ data: { a: 'é' } }, core('Secret'), 'illegal base64 data at input byte 0'],
    [
      { metadata: { creationTimestamp: 'now' } },
      core('Pod'),
      'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
    ],
    [[], core('Pod'), 'json: cannot unmarshal array into Go value of type struct'],
  ])('refuses %j', (value, schema, message) => {
    expect(() => decode(value, schema)).toThrow(new DecodeError(message));
  });

  it('writes times, quantities and durations in their canonical form', () => {
    const pod = decode({
      metadata: { deletionTimestamp: '2026-01-01T02:00:00.5+02:00' },
      spec: { containers: [{ name: 'a', resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }] },
    });
    expect(pod).toMatchObject({
      metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' },
      spec: { containers: [{ resources: { limits: { cpu: '500m', memory: '1Gi' } } }] },
    });
    const lease = decode({ spec: { renewTime: '2026-01-01T00:00:00.123456Z' } }, { ref: 'io.k8s.api.coordination.v1.Lease' });
    expect(lease.spec).toEqual({ renewTime: '2026-01-01T00:00:00.123456Z' });
  });

  it('takes numbers and names for ports', () => {
    const service = decode(
      {
        spec: {
          ports: [
            { port: 80, targetPort: 'web' },
            { port: 81, targetPort: 8081 },
          ],
        },
      },
      core('Service'),
    );
    expect(service.spec).toEqual({
      ports: [
        { port: 80, targetPort: 'web', protocol: 'TCP' },
        { port: 81, targetPort: 8081, protocol: 'TCP' },
      ],
    });
    expect(() => decode({ spec: { ports: [{ targetPort: true }] } }, core('Service'))).toThrow(DecodeError);
  });

  it('keeps what a raw field holds', () => {
    const revision = decode({ revision: 1, data: { any: [{ thing: null }] } }, { ref: 'io.k8s.api.apps.v1.ControllerRevision' });
    expect(revision.data).toEqual({ any: [{ thing: null }] });
  });

  it('shares nothing with the value it read', () => {
    const labels = { a: '1' };
    const pod = decode({ metadata: { labels } });
    labels.a = '2';
    expect(pod.metadata).toEqual({ labels: { a: '1' } });
  });

  it('survives keys that mean something to JavaScript', () => {
    const value = JSON.parse('{"metadata":{"labels":{"__proto__":"x","constructor":"y"}},"constructor":1}');
    const { object, unknown } = decodeBySchema(value, core('Pod'), builtinSchemas);
    expect(JSON.stringify(object.metadata)).toBe('{"labels":{"__proto__":"x","constructor":"y"}}');
    expect(unknown).toEqual(['constructor']);
  });

  it('refuses bodies deeper than any object', () => {
    let schema: unknown = { type: 'object' };
    for (let depth = 0; depth < 300; depth += 1) schema = { type: 'object', properties: { a: schema } };
    const definition = { spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema: schema } }] } };
    const crd = { ref: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition' };
    expect(() => decode(definition, crd)).toThrow('exceeded max depth');
  });
});
