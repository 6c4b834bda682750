import { describe, expect, it } from 'vitest';
import { mergeSwagger } from './swagger-merge.ts';

const own = {
  paths: { '/apis/apps/v1/things': {} },
  definitions: {
    Same: { type: 'object', description: 'ours', properties: { description: { type: 'string' } } },
    Other: { type: 'string' },
  },
};

describe('mergeSwagger', () => {
  const at = (definition: string) => ({ get: { responses: { 200: { schema: { $ref: `#/definitions/${definition}` } } } } });

  it('takes paths of the wanted group versions only, with what they speak of', () => {
    const other = {
      paths: { '/apis/a.b/v1/x': at('X'), '/apis/a.b/v2/y': at('Y'), '/apis/a.b/': at('Y'), '/version': at('Y') },
      definitions: {
        X: { properties: { z: { items: { $ref: '#/definitions/Z' } } } },
        Z: { properties: { x: { $ref: '#/definitions/X' } } },
        Y: {},
      },
    };
    const merged = mergeSwagger(own, other, new Set(['a.b/v1']));
    expect(Object.keys(merged.paths ?? {})).toEqual(['/apis/apps/v1/things', '/apis/a.b/v1/x']);
    expect(Object.keys(merged.definitions ?? {}).toSorted()).toEqual(['Other', 'Same', 'X', 'Z']);
  });

  it('shares definitions that differ in words only, and gives others a name of their own wherever they are spoken of', () => {
    const other = {
      paths: { '/apis/a.b/v1/x': at('Same'), '/apis/a.b/v1/y': at('Other') },
      definitions: {
        Same: { type: 'object', description: 'theirs', properties: { description: { type: 'string', default: '' } } },
        Other: { properties: { again: { $ref: '#/definitions/Other' } } },
      },
    };
    const merged = mergeSwagger(own, other, new Set(['a.b/v1']));
    expect(merged.paths).toMatchObject({ '/apis/a.b/v1/x': at('Same'), '/apis/a.b/v1/y': at('Other_v2') });
    expect(merged.definitions).toEqual({
      ...own.definitions,
      Other_v2: { properties: { again: { $ref: '#/definitions/Other_v2' } } },
    });
  });

  it('does not change what it is given', () => {
    const before = structuredClone(own);
    mergeSwagger(own, { paths: { '/apis/a.b/v1/x': at('Other') }, definitions: { Other: {} } }, new Set(['a.b/v1']));
    expect(own).toEqual(before);
  });
});
