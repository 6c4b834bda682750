import type { KindDefinition, KindVersion } from './definition.ts';

/** A kind at one of its versions. */
export interface ServedKind {
  readonly definition: KindDefinition;
  readonly version: KindVersion;
}

export type RegistryChange =
  | { readonly kind: 'added' | 'removed'; readonly definition: KindDefinition }
  | { readonly kind: 'replaced'; readonly definition: KindDefinition; readonly old: KindDefinition };

/** Another kind has this group and resource, or this group and kind, already. */
export class KindTakenError extends Error {
  override readonly name = 'KindTakenError';
  readonly code = 'KIND_TAKEN';
  readonly holder: KindDefinition;

  constructor(definition: KindDefinition, holder: KindDefinition) {
    super(`register ${nameOf(definition)}: ${holder.kind} in group ${JSON.stringify(holder.group)} has this name already`);
    this.holder = holder;
  }
}

/**
 * The kinds that exist now. Built-in kinds and CRDs enter by the same door; only where a definition comes from differs.
 * Lookups are by exact strings and cost one map access.
 */
export class KindRegistry {
  readonly #byResource = new Map<string, KindDefinition>();
  readonly #byKind = new Map<string, KindDefinition>();
  readonly #listeners = new Set<(change: RegistryChange) => void>();

  constructor(definitions: readonly KindDefinition[] = []) {
    for (const definition of definitions) this.add(definition);
  }

  /** @throws {KindTakenError} Its resource or kind is taken. To change a kind use {@link replace}. */
  add(definition: KindDefinition): void {
    const holder = this.#holderOf(definition);
    if (holder !== undefined) throw new KindTakenError(definition, holder);
    this.#put(definition);
    this.#notify({ kind: 'added', definition });
  }

  /** Adds `definition`, or puts it in the place of the one with the same group and resource. @throws {KindTakenError} Its kind is another resource's. */
  replace(definition: KindDefinition): void {
    const old = this.#byResource.get(resourceKey(definition.group, definition.resource));
    if (old === undefined) {
      this.add(definition);
      return;
    }
    const sameKind = this.#byKind.get(resourceKey(definition.group, definition.kind));
    if (sameKind !== undefined && sameKind !== old) throw new KindTakenError(definition, sameKind);
    this.#drop(old);
    this.#put(definition);
    this.#notify({ kind: 'replaced', definition, old });
  }

  /** False where there was none. */
  remove(group: string, resource: string): boolean {
    const definition = this.#byResource.get(resourceKey(group, resource));
    if (definition === undefined) return false;
    this.#drop(definition);
    this.#notify({ kind: 'removed', definition });
    return true;
  }

  /** By path: group, version and plural resource. `undefined` where it does not exist or the version is not served. */
  resource(group: string, version: string, resource: string): ServedKind | undefined {
    return served(this.#byResource.get(resourceKey(group, resource)), version);
  }

  /** By what an object says of itself: `apiVersion` split, and `kind`. */
  gvk(group: string, version: string, kind: string): ServedKind | undefined {
    return served(this.#byKind.get(resourceKey(group, kind)), version);
  }

  /** By what an object says of itself, `apiVersion` unsplit. */
  object(apiVersion: string, kind: string): ServedKind | undefined {
    const { group, version } = splitApiVersion(apiVersion);
    return this.gvk(group, version, kind);
  }

  kind(group: string, kind: string): KindDefinition | undefined {
    return this.#byKind.get(resourceKey(group, kind));
  }

  groupResource(group: string, resource: string): KindDefinition | undefined {
    return this.#byResource.get(resourceKey(group, resource));
  }

  /** In the order they were added. */
  list(): readonly KindDefinition[] {
    return [...this.#byResource.values()];
  }

  /** Calls `listener` after each change, in order, until the returned function is called. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #holderOf({ group, resource, kind }: KindDefinition): KindDefinition | undefined {
    return this.#byResource.get(resourceKey(group, resource)) ?? this.#byKind.get(resourceKey(group, kind));
  }

  #put(definition: KindDefinition): void {
    this.#byResource.set(resourceKey(definition.group, definition.resource), definition);
    this.#byKind.set(resourceKey(definition.group, definition.kind), definition);
  }

  #drop(definition: KindDefinition): void {
    this.#byResource.delete(resourceKey(definition.group, definition.resource));
    this.#byKind.delete(resourceKey(definition.group, definition.kind));
  }

  #notify(change: RegistryChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** `apps/v1` is group apps, version v1; `v1` is the core group. */
export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? { group: '', version: apiVersion } : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The reverse of {@link splitApiVersion}. */
export function joinApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

function served(definition: KindDefinition | undefined, name: string): ServedKind | undefined {
  const version = definition?.versions.find((candidate) => candidate.name === name && candidate.served);
  return definition === undefined || version === undefined ? undefined : kindAt(definition, version);
}

/** `definition` as its `version` shows it: with what is that version's own. */
export function kindAt(definition: KindDefinition, version: KindVersion): ServedKind {
  if (version.strategy === undefined) return { definition, version };
  const { scale: _scale, ...shared } = definition;
  const { subresources = definition.subresources, scale, strategy } = version;
  return { definition: { ...shared, subresources, strategy, ...(scale === undefined ? {} : { scale }) }, version };
}

function resourceKey(group: string, name: string): string {
  return `${group}/${name}`;
}

function nameOf({ group, resource }: KindDefinition): string {
  return group === '' ? resource : `${resource}.${group}`;
}
