import type { KubeObject, ResourceRef } from '@dure/api';

/** A kind for tests that need one and do not care which. */
export interface Thing extends KubeObject {
  readonly spec?: { readonly size?: number };
  readonly status?: { readonly seen?: number };
}

export const things: ResourceRef<Thing> = { group: 'test.dure', version: 'v1', resource: 'things', kind: 'Thing', namespaced: true };
