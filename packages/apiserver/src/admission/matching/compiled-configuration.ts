import type { KubeObject } from '@dure/api';
import type { ObjectReader } from '../../contract/object-reader.ts';

const GROUP = 'admissionregistration.k8s.io';

/**
 * Something made of the stored configurations, made anew only when one of them changed: asking costs a comparison of numbers.
 * @param compile Gets the objects of each resource, by name.
 */
export function compiledConfiguration<T>(
  reads: ObjectReader,
  resources: readonly string[],
  compile: (lists: readonly (readonly KubeObject[])[]) => T,
): () => T | Promise<T> {
  let held: { readonly revisions: readonly number[]; readonly value: T } | undefined;
  const read = async (): Promise<T> => {
    // Before the lists: what changes meanwhile is seen the next time.
    await Promise.all(resources.map((resource) => reads.list(GROUP, resource, { where: () => false })));
    const revisions = resources.map((resource) => reads.revisionOf(GROUP, resource));
    const lists = await Promise.all(resources.map((resource) => reads.list(GROUP, resource)));
    const value = compile(lists.map((objects) => objects.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))));
    held = { revisions, value };
    return value;
  };
  return () => {
    if (held === undefined) return read();
    for (const [index, resource] of resources.entries()) if (reads.revisionOf(GROUP, resource) !== held.revisions[index]) return read();
    return held.value;
  };
}
