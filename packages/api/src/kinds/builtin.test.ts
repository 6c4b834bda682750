import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../definition.ts';
import * as index from '../index.ts';
import { builtinSchemas, resolve } from '../schema/builtin-book.ts';
import { builtinKinds } from './builtin.ts';
import { decodeObject } from './decode-object.ts';

const cases = builtinKinds.flatMap((definition) =>
  definition.versions.map((version) => ({ name: `${definition.group}/${version.name} ${definition.kind}`, definition, version })),
);

describe('every built-in kind', () => {
  it.each(cases)('$name has a schema, survives an empty object, and prints', ({ definition, version }) => {
    expect(resolve(version.schema, builtinSchemas).properties).toBeDefined();
    const object = decodeObject({ definition, version }, { kind: definition.kind, metadata: { name: 'a' } }, builtinSchemas).object;
    const again = decodeObject({ definition, version }, object, builtinSchemas);
    // Decoding what was decoded changes nothing: defaults are stable, and all they make is known to the schema.
    expect(again).toEqual({ object, unknown: [] });
    for (const column of version.columns) expect(['string', 'number', 'boolean']).toContain(typeof column.value(object, 0));
    const old = structuredClone(object);
    definition.strategy.prepareForCreate?.(object);
    // What the strategy sets anew is whole too: a status holds its zero counts.
    if (version.toStorage === undefined)
      expect(decodeObject({ definition, version }, object, builtinSchemas).object.status).toEqual(object.status);
    definition.strategy.validate?.(object);
    definition.strategy.prepareForUpdate?.(object, old);
    definition.strategy.prepareForStatusUpdate?.(object, old);
    definition.strategy.validateUpdate?.(object, old);
    for (const value of Object.values(definition.strategy.selectableFields?.(object) ?? {})) expect(typeof value).toBe('string');
  });

  it.each(cases)('$name keeps its status from the main door, if it has another for it', ({ definition, version }) => {
    if (!definition.subresources.some(({ name }) => name === 'status')) return;
    const object = decodeObject({ definition, version }, { metadata: { name: 'a' } }, builtinSchemas).object;
    definition.strategy.prepareForCreate?.(object);
    const changed: JsonObject = { ...structuredClone(object), status: { injected: true } };
    definition.strategy.prepareForUpdate?.(changed, object);
    expect(JSON.stringify(changed.status ?? {})).not.toContain('injected');
    const reported: JsonObject = { ...structuredClone(object), spec: { injected: true } };
    definition.strategy.prepareForStatusUpdate?.(reported, object);
    expect(JSON.stringify(reported.spec ?? {})).not.toContain('injected');
  });

  it('that clients ask for has a token that names it rightly', () => {
    const tokens = Object.values(index).filter(
      (value): value is index.ResourceRef =>
        typeof value === 'object' && value !== null && 'resource' in value && 'namespaced' in value && !('verbs' in value),
    );
    expect(tokens.length).toBeGreaterThan(50);
    const registry = new index.KindRegistry(builtinKinds);
    for (const token of tokens) {
      const definition = registry.resource(token.group, token.version, token.resource)?.definition;
      expect({ ...token, kind: definition?.kind, namespaced: definition?.namespaced }).toEqual(token);
    }
  });
});
