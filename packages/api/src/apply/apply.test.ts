import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../definition.ts';
import { builtinSchemas } from '../schema/builtin-book.ts';
import { ApplyConflictError, applyFields, trackUpdate, type WriteContext } from './apply.ts';
import { fieldSetFromJson } from './field-set.ts';
import { MissingKeyError, TypedSchema } from './typed-value.ts';

const TIME = '2026-01-01T00:00:00Z';
const LATER = '2026-01-01T00:01:00Z';

function as(manager: string, kind = 'apps.v1.Deployment', time = TIME): WriteContext {
  const [group = ''] = kind.split('.');
  return {
    schema: { ref: `io.k8s.api.${kind}` },
    book: builtinSchemas,
    manager,
    apiVersion: group === 'core' ? 'v1' : `${group}/v1`,
    ignored: ['status'],
    time,
  };
}

function deployment(spec: JsonObject): JsonObject {
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'default' }, spec };
}

function container(name: string, fields: JsonObject = {}): JsonObject {
  return { name, ...fields };
}

function pods(...containers: JsonObject[]): JsonObject {
  return { template: { spec: { containers } } };
}

function managers(object: JsonObject): unknown {
  return (object.metadata as JsonObject).managedFields;
}

describe('fields of a value', () => {
  it('names list entries by their keys, with defaults, and keeps atomic values whole', () => {
    const typed = new TypedSchema({ ref: 'io.k8s.api.core.v1.Pod' }, builtinSchemas);
    const fields = typed.fieldsOf({
      metadata: { labels: { a: '1' }, finalizers: ['x/y'] },
      spec: { nodeSelector: { a: 'b' }, containers: [{ name: 'a', args: ['x'], ports: [{ containerPort: 80 }] }], securityContext: {} },
    });
    expect(fields.toJson()).toEqual({
      'f:metadata': { 'f:finalizers': { 'v:"x/y"': {} }, 'f:labels': { 'f:a': {} } },
      'f:spec': {
        'f:containers': {
          'k:{"name":"a"}': {
            '.': {},
            'f:args': {},
            'f:name': {},
            'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
          },
        },
        'f:nodeSelector': {},
        'f:securityContext': {},
      },
    });
    expect(fieldSetFromJson(fields.toJson()).equals(fields)).toBe(true);
  });

  it('refuses a list entry without its key', () => {
    const item = { type: 'object', properties: { id: { type: 'string' } } } as const;
    const list = { type: 'array', items: item, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id'] } as const;
    const typed = new TypedSchema({ type: 'object', properties: { list } }, builtinSchemas);
    expect(() => typed.fieldsOf({ list: [{ other: 1 }] })).toThrow(MissingKeyError);
  });
});

describe('server-side apply', () => {
  it('makes an object and owns what it says', () => {
    const { object, changed } = applyFields(
      undefined,
      deployment({ replicas: 2, ...pods(container('a', { image: 'x' })) }),
      as('me'),
      false,
    );
    expect(changed).toBe(true);
    expect(managers(object)).toEqual([
      {
        manager: 'me',
        operation: 'Apply',
        apiVersion: 'apps/v1',
        time: TIME,
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:spec': {
            'f:replicas': {},
            'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} } } } },
          },
        },
      },
    ]);
  });

  it('changes nothing, not even times, when the same is applied again', () => {
    const intent = deployment({ replicas: 2, ...pods(container('a', { image: 'x' })) });
    const first = applyFields(undefined, intent, as('me'), false).object;
    const again = applyFields(first, intent, as('me', 'apps.v1.Deployment', LATER), false);
    expect(again.changed).toBe(false);
    expect(again.object).toEqual(first);
  });

  it('leaves what others say, and removes what it said before and no longer does', () => {
    const first = applyFields(
      undefined,
      deployment(pods(container('a', { image: 'x' }), container('b', { image: 'y' }))),
      as('me'),
      false,
    ).object;
    const second = applyFields(first, deployment(pods(container('c', { image: 'z' }))), as('other'), false).object;
    const third = applyFields(second, deployment(pods(container('a', { image: 'x2' }))), as('me'), false).object;
    expect((third.spec as JsonObject).template).toEqual({
      spec: {
        containers: [
          { name: 'a', image: 'x2' },
          { name: 'c', image: 'z' },
        ],
      },
    });
  });

  it('keeps a field that somebody else also owns', () => {
    const first = applyFields(undefined, deployment({ replicas: 2, paused: true }), as('me'), false).object;
    const second = applyFields(first, deployment({ replicas: 2 }), as('other'), false).object;
    const third = applyFields(second, deployment({ paused: true }), as('me'), false).object;
    expect(third.spec).toEqual({ replicas: 2, paused: true });
  });

  it('conflicts where another owns a field with another value, unless forced', () => {
    const first = applyFields(undefined, deployment({ replicas: 2 }), as('me'), false).object;
    const attempt = () => applyFields(first, deployment({ replicas: 3 }), as('other'), false);
    expect(attempt).toThrow(ApplyConflictError);
    expect(attempt).toThrow('Apply failed with 1 conflict: conflict with "me": .spec.replicas');
    const forced = applyFields(first, deployment({ replicas: 3 }), as('other'), true).object;
    expect(forced.spec).toEqual({ replicas: 3 });
    expect((managers(forced) as JsonObject[]).map((entry) => entry.manager)).toEqual(['other']);
  });

  it('lists several conflicts by manager', () => {
    const written = trackUpdate(undefined, deployment({ replicas: 2, paused: true }), as('kubectl'));
    let error: unknown;
    try {
      applyFields(written, deployment({ replicas: 3, paused: false }), as('me'), false);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ApplyConflictError);
    expect((error as ApplyConflictError).message).toBe(
      'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n- .spec.paused\n- .spec.replicas',
    );
    expect((error as ApplyConflictError).causes[0]).toEqual({
      reason: 'FieldManagerConflict',
      message: 'conflict with "kubectl" using apps/v1',
      field: '.spec.paused',
    });
  });

  it('gives untracked objects to their past', () => {
    const { object } = applyFields(deployment({ replicas: 2, paused: true }), deployment({ replicas: 2 }), as('me'), false);
    expect((managers(object) as JsonObject[]).map((entry) => entry.manager)).toEqual(['me', 'before-first-apply']);
  });

  describe('of what kubectl applied on the client before', () => {
    const LAST = 'kubectl.kubernetes.io/last-applied-configuration';
    const appliedOnClient = (spec: JsonObject, annotation: unknown = deployment(spec)): JsonObject => {
      const object = deployment(spec);
      const annotations = { [LAST]: typeof annotation === 'string' ? annotation : JSON.stringify(annotation), other: 'kept' };
      const annotated = { ...object, metadata: { ...(object.metadata as JsonObject), annotations } };
      return trackUpdate(undefined, annotated, as('kubectl-client-side-apply'));
    };
    const annotationsOf = (object: JsonObject): JsonObject => (object.metadata as JsonObject).annotations as JsonObject;

    it('goes on without a conflict, and keeps the annotation true', () => {
      const live = appliedOnClient({ replicas: 1, paused: false });
      const { object } = applyFields(live, deployment({ replicas: 2, paused: false }), as('kubectl', 'apps.v1.Deployment', LATER), false);
      expect(object.spec).toEqual({ replicas: 2, paused: false });
      expect(JSON.parse(annotationsOf(object)[LAST] as string)).toEqual(deployment({ replicas: 2, paused: false }));
      expect(annotationsOf(object).other).toBe('kept');
      // The same again is no change.
      expect(
        applyFields(object, deployment({ replicas: 2, paused: false }), as('kubectl', 'apps.v1.Deployment', LATER), false).changed,
      ).toBe(false);
    });

    it('conflicts over what others changed since, and for managers of other names', () => {
      const live = appliedOnClient({ replicas: 1, paused: false });
      const scaled = trackUpdate(live, { ...live, spec: { replicas: 5, paused: false } }, as('scaler'));
      const wanted = deployment({ replicas: 2, paused: true });
      expect(() => applyFields(scaled, wanted, as('kubectl'), false)).toThrow(
        'Apply failed with 1 conflict: conflict with "scaler" using apps/v1: .spec.replicas',
      );
      expect(() => applyFields(live, wanted, as('argo'), false)).toThrow('Apply failed with 2 conflicts');
      const forced = applyFields(scaled, wanted, as('argo'), true).object;
      expect(JSON.parse(annotationsOf(forced)[LAST] as string)).toEqual(deployment({ replicas: 1, paused: false }));
    });

    it.each(['', '{', '[]', '{"spec":{"template":{"spec":{"containers":[{"image":"nameless"}]}}}}'])(
      'conflicts as ever where the annotation is %j',
      (annotation) => {
        const live = appliedOnClient({ replicas: 1 }, annotation);
        expect(() => applyFields(live, deployment({ replicas: 2 }), as('kubectl'), false)).toThrow(ApplyConflictError);
      },
    );

    it('drops the annotation where it would be too large', () => {
      const live = appliedOnClient({ replicas: 1 });
      const large = {
        ...deployment({ replicas: 2 }),
        metadata: { name: 'web', namespace: 'default', annotations: { large: 'x'.repeat(300_000) } },
      };
      expect(annotationsOf(applyFields(live, large, as('kubectl'), false).object)).not.toHaveProperty([LAST]);
    });
  });

  it('keeps the order of live entries and puts applied ones in theirs', () => {
    const live = trackUpdate(undefined, deployment(pods(container('a'), container('b'), container('c'))), as('maker'));
    const { object } = applyFields(live, deployment(pods(container('c'), container('d'), container('a'))), as('me'), true);
    const names = ((object.spec as JsonObject).template as { spec: { containers: { name: string }[] } }).spec.containers.map(
      ({ name }) => name,
    );
    expect(names).toEqual(['c', 'd', 'a', 'b']);
  });
});

describe('other writes', () => {
  it('own what they change, and take it from appliers', () => {
    const applied = applyFields(undefined, deployment({ replicas: 2, paused: true }), as('me'), false).object;
    const scaled = trackUpdate(applied, { ...applied, spec: { replicas: 5, paused: true } }, as('scaler'));
    expect(managers(scaled)).toMatchObject([
      { manager: 'me', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:paused': {} } } },
      { manager: 'scaler', operation: 'Update', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
    ]);
  });

  it('change no times when they change nothing', () => {
    const made = trackUpdate(undefined, deployment({ replicas: 2 }), as('me'));
    expect(trackUpdate(made, made, as('me', 'apps.v1.Deployment', LATER))).toEqual(made);
  });

  it('do not own status through the main door', () => {
    const made = trackUpdate(undefined, { ...deployment({ replicas: 2 }), status: { replicas: 1 } }, as('me'));
    expect(managers(made)).toMatchObject([{ fieldsV1: { 'f:spec': { 'f:replicas': {} } } }]);
  });

  it('share one entry once there are too many of them', () => {
    let object = trackUpdate(undefined, deployment({ replicas: 0 }), as('m0'));
    for (let index = 1; index <= 14; index += 1) {
      const labels = { ...((object.metadata as JsonObject).labels as JsonObject | undefined), [`l${index}`]: 'x' };
      object = trackUpdate(object, { ...object, metadata: { ...(object.metadata as JsonObject), labels } }, as(`m${index}`));
    }
    const names = (managers(object) as JsonObject[]).map((entry) => entry.manager);
    expect(names).toHaveLength(11);
    expect(names).toContain('ancient-changes');
  });
});
