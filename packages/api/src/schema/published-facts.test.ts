/**
 * Compares the schema with the release's published OpenAPI document, and the kinds with its discovery document: every stable
 * definition and resource. The documents are found at `DURE_KUBERNETES_FACTS` or beside the repository.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SchemaNode } from '../definition.ts';
import { KindRegistry } from '../kind-registry.ts';
import { builtinKinds } from '../kinds/builtin.ts';
import { builtinSchemas } from './builtin-book.ts';

const FACTS = process.env.DURE_KUBERNETES_FACTS ?? resolvePath(import.meta.dirname, '../../../../../shared/kubernetes');
const present = existsSync(join(FACTS, 'openapi-v2.json'));
const why = present ? '' : ` [skipped: no published documents at ${FACTS}]`;

interface PublishedNode {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly items?: PublishedNode;
  readonly additionalProperties?: PublishedNode;
  readonly properties?: Readonly<Record<string, PublishedNode>>;
  readonly required?: readonly string[];
  readonly allOf?: readonly PublishedNode[];
  readonly [extension: `x-kubernetes-${string}`]: unknown;
}

/** Versions that a cluster does not serve unless asked, and values that are not objects. */
const SKIPPED = /v\d+(alpha|beta)\d|\.runtime\.|\.intstr\.|\.resource\.Quantity|\.version\.Info/;
const EXTENSIONS = ['list-type', 'list-map-keys', 'map-type', 'patch-strategy', 'patch-merge-key'] as const;

describe(`the schema against the published one${why}`, () => {
  it.skipIf(!present)('has every definition with the same fields, types, required fields and list semantics', () => {
    const { definitions } = JSON.parse(readFileSync(join(FACTS, 'openapi-v2.json'), 'utf8'));
    const differences = Object.entries<PublishedNode>(definitions).flatMap(([name, published]) =>
      SKIPPED.test(name) ? [] : compare(name, published),
    );
    expect(differences).toEqual([]);
    expect(Object.keys(definitions).length).toBeGreaterThan(500);
  });

  it.skipIf(!present)('has the same defaults', () => {
    const differences: string[] = [];
    for (const file of [
      'api__v1',
      'apis__apps__v1',
      'apis__batch__v1',
      'apis__networking.k8s.io__v1',
      'apis__resource.k8s.io__v1',
      'apis__apiextensions.k8s.io__v1',
    ]) {
      const { components } = JSON.parse(readFileSync(join(FACTS, 'openapi-v3', `${file}_openapi.json`), 'utf8'));
      for (const [name, published] of Object.entries<PublishedNode>(components.schemas)) {
        if (!SKIPPED.test(name)) differences.push(...compareDefaults(name, published));
      }
    }
    expect([...new Set(differences)]).toEqual([]);
  });
});

describe(`the kinds against published discovery${why}`, () => {
  it.skipIf(!present)('has every stable resource with the same names, verbs and subresources', () => {
    const registry = new KindRegistry(builtinKinds);
    const { items } = JSON.parse(readFileSync(join(FACTS, 'discovery-aggregated-v2.json'), 'utf8'));
    let seen = 0;
    for (const group of items) {
      for (const version of group.versions) {
        if (!/^v\d+$/.test(version.version)) continue;
        for (const published of version.resources) {
          seen += 1;
          const definition = registry.resource(group.metadata.name ?? '', version.version, published.resource)?.definition;
          expect({
            kind: definition?.kind,
            singular: definition?.singular,
            scope: definition?.namespaced === true ? 'Namespaced' : 'Cluster',
            verbs: definition?.verbs.toSorted(),
            shortNames: definition?.shortNames,
            categories: definition?.categories,
            subresources: definition?.subresources
              .map(({ name, verbs, body }) => [name, verbs.toSorted(), body?.kind ?? definition.kind])
              .toSorted(),
          }).toEqual({
            kind: published.responseKind.kind,
            singular: published.singularResource,
            scope: published.scope,
            verbs: published.verbs.toSorted(),
            shortNames: published.shortNames ?? [],
            categories: published.categories ?? [],
            subresources: (published.subresources ?? [])
              .map((sub: { subresource: string; verbs: string[]; responseKind: { kind: string } }) => [
                sub.subresource,
                sub.verbs.toSorted(),
                sub.responseKind.kind,
              ])
              .toSorted(),
          });
        }
      }
    }
    expect(seen).toBeGreaterThan(40);
  });
});

function compare(name: string, published: PublishedNode): string[] {
  const ours = builtinSchemas.get(name);
  if (ours === undefined) return [`${name}: missing`];
  const differences: string[] = [];
  const fields = new Set([...Object.keys(published.properties ?? {}), ...Object.keys(ours.properties ?? {})]);
  for (const field of fields) {
    const theirs = published.properties?.[field];
    const mine = ours.properties?.[field];
    if (theirs === undefined || mine === undefined)
      differences.push(`${name}.${field}: ${theirs === undefined ? 'not published' : 'missing'}`);
    else if (describeNode(mine) !== describeNode(theirs))
      differences.push(`${name}.${field}: ${describeNode(mine)}, published ${describeNode(theirs)}`);
    if ((ours.required ?? []).includes(field) !== (published.required ?? []).includes(field))
      differences.push(`${name}.${field}: required differs`);
  }
  if (extensionsOf(ours) !== extensionsOf(published))
    differences.push(`${name}: ${extensionsOf(ours)}, published ${extensionsOf(published)}`);
  return differences;
}

function compareDefaults(name: string, published: PublishedNode): string[] {
  const ours = builtinSchemas.get(name);
  return Object.entries(published.properties ?? {}).flatMap(([field, theirs]) => {
    const mine = JSON.stringify(ours?.properties?.[field]?.default);
    return mine === JSON.stringify(theirs.default)
      ? []
      : [`${name}.${field}: default ${mine}, published ${JSON.stringify(theirs.default)}`];
  });
}

function describeNode(node: SchemaNode | PublishedNode): string {
  return `${typeText(node)} ${extensionsOf(node)}`;
}

function typeText(node: SchemaNode | PublishedNode): string {
  const ref = 'ref' in node ? node.ref : '$ref' in node ? node.$ref : undefined;
  if (typeof ref === 'string') return `@${ref.slice(ref.lastIndexOf('/') + 1)}`;
  if (node.type === 'array') return `[]${typeText(node.items ?? {})}`;
  if (typeof node.additionalProperties === 'object') return `{}${typeText(node.additionalProperties)}`;
  return `${node.type ?? 'any'}${node.format === undefined ? '' : `:${node.format}`}`;
}

function extensionsOf(node: SchemaNode | PublishedNode): string {
  return EXTENSIONS.flatMap((extension) => {
    const value = (node as PublishedNode)[`x-kubernetes-${extension}`];
    return value === undefined ? [] : [`${extension}=${JSON.stringify(value)}`];
  }).join(' ');
}
