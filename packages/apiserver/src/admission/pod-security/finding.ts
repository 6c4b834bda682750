import { type JsonObject, objectAt, objectsAt, stringAt } from '@dure/api';

/** A Pod, or the template of one. */
export interface PodShape {
  readonly metadata: JsonObject;
  readonly spec: JsonObject;
}

/** Why a check does not let a Pod pass. */
export interface Finding {
  /** Short, without names: `host namespaces`. */
  readonly reason: string;
  /** Who says what. */
  readonly detail: string;
}

/** @returns `undefined`: the Pod passes. */
export type Check = (pod: PodShape) => Finding | undefined;

/** Containers of every sort, in the order in which they would start. */
export function containersOf({ spec }: PodShape): readonly JsonObject[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) => objectsAt(spec, list));
}

/** Names of the containers for which `isBad` holds. */
export function namesOf(pod: PodShape, isBad: (container: JsonObject) => boolean): readonly string[] {
  return containersOf(pod)
    .filter(isBad)
    .map((container) => stringAt(container, 'name'));
}

export function securityOf(holder: JsonObject): JsonObject | undefined {
  return objectAt(holder, 'securityContext');
}

/** `container "a"`, `containers "a", "b"`. */
export function named(what: string, names: readonly string[]): string {
  return `${plural(what, names.length)} ${quotedList(names)}`;
}

/** `pod and container "a"`: who set something, with `undefined` where nobody did. */
export function setters(isPod: boolean, containers: readonly string[]): string | undefined {
  const parts = [...(isPod ? ['pod'] : []), ...(containers.length > 0 ? [named('container', containers)] : [])];
  return parts.length === 0 ? undefined : parts.join(' and ');
}

export function plural(what: string, count: number): string {
  return count === 1 ? what : `${what}s`;
}

export function quotedList(items: readonly string[]): string {
  return items.length === 0 ? '' : `"${items.join('", "')}"`;
}

/** Each once, in order. */
export function distinct(items: readonly string[]): readonly string[] {
  return [...new Set(items)].sort();
}
