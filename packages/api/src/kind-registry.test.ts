import { describe, expect, it } from 'vitest';
import type { KindDefinition } from './definition.ts';
import { KindRegistry, KindTakenError, type RegistryChange, splitApiVersion } from './kind-registry.ts';
import { builtinKinds } from './kinds/builtin.ts';

function crd(resource: string, kind: string, group = 'example.com'): KindDefinition {
  const version = { name: 'v1', served: true, schema: { type: 'object' as const }, columns: [] };
  return {
    group,
    kind,
    listKind: `${kind}List`,
    resource,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    verbs: [],
    versions: [version, { ...version, name: 'v2', served: false }],
    storageVersion: 'v1',
    subresources: [],
    strategy: {},
  };
}

describe('the registry of kinds', () => {
  it('finds a kind by path, by what objects say, and by kind', () => {
    const registry = new KindRegistry([...builtinKinds, crd('widgets', 'Widget')]);
    expect(registry.resource('apps', 'v1', 'deployments')?.definition.kind).toBe('Deployment');
    expect(registry.object('apps/v1', 'Deployment')?.definition.resource).toBe('deployments');
    expect(registry.gvk('', 'v1', 'Pod')?.version.name).toBe('v1');
    expect(registry.kind('example.com', 'Widget')?.resource).toBe('widgets');
    expect(registry.resource('', 'v1', 'widgets')).toBeUndefined();
  });

  it('does not serve a version that is not served', () => {
    const registry = new KindRegistry([crd('widgets', 'Widget')]);
    expect(registry.resource('example.com', 'v2', 'widgets')).toBeUndefined();
    expect(registry.groupResource('example.com', 'widgets')).toBeDefined();
  });

  it('refuses a second kind of one name, and lets one be replaced', () => {
    const registry = new KindRegistry([crd('widgets', 'Widget')]);
    expect(() => registry.add(crd('widgets', 'Gadget'))).toThrow(KindTakenError);
    expect(() => registry.add(crd('gadgets', 'Widget'))).toThrow(KindTakenError);
    registry.replace(crd('widgets', 'Gizmo'));
    expect(registry.kind('example.com', 'Widget')).toBeUndefined();
    expect(registry.kind('example.com', 'Gizmo')).toBeDefined();
  });

  it('tells listeners of every change until they stop', () => {
    const registry = new KindRegistry();
    const seen: RegistryChange['kind'][] = [];
    const stop = registry.onChange((change) => seen.push(change.kind));
    registry.add(crd('widgets', 'Widget'));
    registry.replace(crd('widgets', 'Widget'));
    expect(registry.remove('example.com', 'widgets')).toBe(true);
    expect(registry.remove('example.com', 'widgets')).toBe(false);
    stop();
    registry.add(crd('widgets', 'Widget'));
    expect(seen).toEqual(['added', 'replaced', 'removed']);
  });

  it('splits apiVersion', () => {
    expect(splitApiVersion('v1')).toEqual({ group: '', version: 'v1' });
    expect(splitApiVersion('apps/v1')).toEqual({ group: 'apps', version: 'v1' });
  });
});
