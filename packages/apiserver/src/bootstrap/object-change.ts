import type { JsonObject } from '@dure/api';

/** One write that brings the cluster closer to what it should hold. */
export type ObjectChange =
  | { readonly kind: 'create'; readonly object: JsonObject }
  /** Of the object as it was read: it carries its resourceVersion. */
  | { readonly kind: 'update' | 'update-status' | 'delete'; readonly object: JsonObject }
  /** What cannot be changed: deleted as it was read, and made anew. */
  | { readonly kind: 'replace'; readonly existing: JsonObject; readonly object: JsonObject };

/** An object that every cluster has. */
export interface DefaultObject {
  readonly object: JsonObject;
  /** What to do where one stands already; absent: it is its owner's from then on. @param existing As stored. */
  revise?(existing: JsonObject): ObjectChange | undefined;
}

/** What is missing of `defaults`, and what is to be changed. Pure. @param find What stands where the given object belongs. */
export function planDefaults(
  defaults: readonly DefaultObject[],
  find: (object: JsonObject) => JsonObject | undefined,
): readonly ObjectChange[] {
  return defaults.flatMap(({ object, revise }): readonly ObjectChange[] => {
    const existing = find(object);
    if (existing === undefined) return [{ kind: 'create', object }];
    const change = revise?.(existing);
    return change === undefined ? [] : [change];
  });
}
