/**
 * Compares what the server offers with the published documents of release 1.36: every path, method and operation identifier of the stable
 * groups, and every resource of discovery. The documents are found at `DURE_KUBERNETES_FACTS` or beside the repository.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const FACTS = process.env.DURE_KUBERNETES_FACTS ?? resolve(import.meta.dirname, '../../../../../shared/kubernetes');
const present = existsSync(join(FACTS, 'openapi-v2.json'));

/** Alpha and beta are not served; `watch/` paths are the deprecated form; the rest is no group's. */
const LEFT_OUT = /alpha|beta|\/watch\/|\{path\}|\{logpath\}|\/$|^\/(logs|version|openid|\.well-known)/;

type Definitions = Readonly<Record<string, unknown>>;

/** Only beta groups speak of it. */
const NOT_SPOKEN_OF: ReadonlySet<string> = new Set(['io.k8s.apimachinery.pkg.apis.meta.v1.GroupResource']);
/** Their unions are not described as such. */
const DESCRIBED_OTHERWISE: ReadonlySet<string> = new Set(
  [
    'core.v1.AppArmorProfile',
    'core.v1.PodSchedulingGroup',
    'core.v1.SeccompProfile',
    'flowcontrol.v1.LimitResponse',
    'flowcontrol.v1.PriorityLevelConfigurationSpec',
    'flowcontrol.v1.Subject',
  ].map((name) => `io.k8s.api.${name}`),
);

/** These list every group, also those that are not served. */
const OF_EVERY_GROUP: ReadonlySet<string> = new Set(['DeleteOptions', 'WatchEvent']);

/** Without descriptions, which are our own, and with groups, versions and kinds in an order. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key, item]) => !(key === 'description' && typeof item === 'string'));
  return Object.fromEntries(kept.map(([key, item]) => [key, key === 'x-kubernetes-group-version-kind' ? marks(item) : bare(item)]));
}

function marks(given: readonly { readonly group: string; readonly version: string; readonly kind: string }[]): readonly string[] {
  return given
    .map(({ group, version, kind }) => `${OF_EVERY_GROUP.has(kind) ? '' : `${group}/${version}`} ${kind}`)
    .filter((mark, index, all) => all.indexOf(mark) === index)
    .toSorted();
}

type Operations = Readonly<Record<string, { readonly operationId?: string }>>;

describe.skipIf(!present)(`the published API${present ? '' : ' [skipped: its documents are absent]'}`, () => {
  let server: TestServer;
  let client: TestClient;

  beforeAll(async () => {
    server = await startTestServer(new KindRegistry(builtinKinds));
    client = testClient(server);
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('is served path by path, with the same operation identifiers', async () => {
    const published = JSON.parse(readFileSync(join(FACTS, 'openapi-v2.json'), 'utf8')) as {
      readonly paths: Readonly<Record<string, Operations>>;
    };
    const { json: served } = await client.send('GET', '/openapi/v2');
    const differences: string[] = [];
    let compared = 0;
    for (const [path, item] of Object.entries(published.paths)) {
      if (LEFT_OUT.test(path)) continue;
      for (const method of ['get', 'put', 'post', 'patch', 'delete']) {
        const wanted = item[method]?.operationId;
        if (wanted === undefined) continue;
        compared += 1;
        const ours = served.paths[path]?.[method]?.operationId;
        if (ours !== wanted) differences.push(`${method} ${path}: ${ours} instead of ${wanted}`);
      }
    }
    expect(compared).toBeGreaterThan(500);
    expect(differences).toEqual([]);
  });

  it('defines the same types, but for the words', async () => {
    const published = JSON.parse(readFileSync(join(FACTS, 'openapi-v2.json'), 'utf8')) as { readonly definitions: Definitions };
    const { json: served } = (await client.send('GET', '/openapi/v2')) as { readonly json: { readonly definitions: Definitions } };
    const names = Object.keys(published.definitions).filter((name) => !/alpha|beta/.test(name) && !NOT_SPOKEN_OF.has(name));
    expect(Object.keys(served.definitions).toSorted()).toEqual(names.toSorted());
    expect(names.length).toBeGreaterThan(500);
    const differences = names.filter(
      (name) => !DESCRIBED_OTHERWISE.has(name) && !isDeepStrictEqual(bare(served.definitions[name]), bare(published.definitions[name])),
    );
    expect(differences).toEqual([]);
  });

  it('is listed resource by resource, with verbs, scopes, short names and categories', async () => {
    interface Resource {
      readonly resource: string;
      readonly scope: string;
      readonly singularResource: string;
      readonly verbs: readonly string[];
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
      readonly subresources?: readonly { readonly subresource: string; readonly verbs: readonly string[] }[];
    }
    interface Group {
      readonly metadata: { readonly name?: string };
      readonly versions: readonly { readonly version: string; readonly resources?: readonly Resource[] }[];
    }
    const sorted = (values: readonly string[] | undefined): readonly string[] => [...(values ?? [])].sort();
    const flat = (groups: readonly Group[]): Map<string, unknown> =>
      new Map(
        groups.flatMap(({ metadata, versions }) =>
          versions.flatMap(({ version, resources = [] }) =>
            resources.map((resource): [string, unknown] => [
              `${metadata.name ?? ''}/${version}/${resource.resource}`,
              {
                scope: resource.scope,
                singular: resource.singularResource,
                verbs: sorted(resource.verbs),
                shortNames: sorted(resource.shortNames),
                categories: sorted(resource.categories),
                subresources: sorted(
                  (resource.subresources ?? []).map(({ subresource, verbs }) => `${subresource}: ${sorted(verbs).join(',')}`),
                ),
              },
            ]),
          ),
        ),
      );
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const own: Group[] = [];
    for (const path of ['/api', '/apis']) own.push(...(await client.send('GET', path, { headers: { accept } })).json.items);
    const served = flat(own);
    const text = JSON.parse(readFileSync(join(FACTS, 'discovery-aggregated-v2.json'), 'utf8')) as { readonly items: readonly Group[] };
    const published = [...flat(text.items)].filter(([name]) => !/alpha|beta/.test(name));
    expect(published.length).toBeGreaterThan(50);
    for (const [name, resource] of published) expect({ name, resource: served.get(name) }).toEqual({ name, resource });
  });
});
