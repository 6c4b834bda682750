import type { ResourceRef, Verb } from '@dure/api';
import type { Client } from './client.ts';

/** A collection that the server serves, in its group's preferred version that has it. */
export interface DiscoveredResource extends ResourceRef {
  readonly verbs: ReadonlySet<Verb>;
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Group versions that could not be read, with why: whoever must see everything has not. */
  readonly failures: readonly { readonly groupVersion: string; readonly error: unknown }[];
}

interface ApiGroup {
  readonly name: string;
  readonly versions: readonly { readonly groupVersion: string; readonly version: string }[];
  readonly preferredVersion?: { readonly version: string };
}

interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
}

/**
 * All collections that the server has now, custom ones included, without subresources. Each (group, resource) comes once.
 * A group that does not answer is told in `failures` and stops nothing else. @throws what the client throws if the list of groups cannot be read.
 */
export async function discoverResources(client: Client, signal?: AbortSignal): Promise<Discovery> {
  const { groups } = await client.request<{ readonly groups: readonly ApiGroup[] }>('GET', '/apis', undefined, signal);
  const versions = [{ group: '', version: 'v1' }, ...groups.flatMap(versionsInOrder)];
  const failures: { groupVersion: string; error: unknown }[] = [];
  const lists = await Promise.all(
    versions.map(async ({ group, version }) => {
      const groupVersion = group === '' ? version : `${group}/${version}`;
      try {
        const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
        const { resources } = await client.request<{ readonly resources: readonly ApiResource[] }>('GET', path, undefined, signal);
        return resources.filter(({ name }) => !name.includes('/')).map((one) => ({ ...one, group, version }));
      } catch (error) {
        signal?.throwIfAborted();
        failures.push({ groupVersion, error });
        return [];
      }
    }),
  );
  const found = new Map<string, DiscoveredResource>();
  for (const { group, version, name, kind, namespaced, verbs } of lists.flat()) {
    const id = `${group}/${name}`;
    if (!found.has(id)) found.set(id, { group, version, resource: name, kind, namespaced, verbs: new Set(verbs) });
  }
  return { resources: [...found.values()], failures };
}

/** The preferred version first: a resource that several versions have is used in that one. */
function versionsInOrder({ name, versions, preferredVersion }: ApiGroup): readonly { readonly group: string; readonly version: string }[] {
  const preferred = preferredVersion?.version;
  return versions
    .map(({ version }) => ({ group: name, version }))
    .sort((a, b) => Number(b.version === preferred) - Number(a.version === preferred));
}
