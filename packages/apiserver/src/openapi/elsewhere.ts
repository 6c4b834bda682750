import type { JsonObject } from '@dure/api';

/** OpenAPI documents of the group versions that other servers serve. */
export interface OpenApiElsewhere {
  /** Whether others serve this group version, whatever this server knows of it. */
  has(group: string, version: string): boolean;
  /** What they say of all that they serve, each with the group versions that are theirs here (`apps/v1`). */
  swaggers(): readonly { readonly groupVersions: ReadonlySet<string>; readonly swagger: JsonObject }[];
  /** Addresses of documents of one group version each, by path (`apis/apps/v1`). */
  urls(): Readonly<Record<string, string>>;
  /** Such a document as the server gives it. @param query As the client sent it. @throws {StatusError} ServiceUnavailable. */
  fetch(
    group: string,
    version: string,
    query: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly contentType: string; readonly bytes: Uint8Array }>;
  /** Calls `listener` after each change of any of this. */
  onChange(listener: () => void): void;
}

export const NOTHING_ELSEWHERE: OpenApiElsewhere = {
  has: () => false,
  swaggers: () => [],
  urls: () => ({}),
  async fetch() {
    throw new Error('fetch: nothing is served elsewhere');
  },
  onChange() {},
};
