import { createHmac, timingSafeEqual } from 'node:crypto';
import { badRequest } from '@dure/api';

/** Where a paginated list goes on. */
export interface ContinuePoint {
  /** The revision that all pages show; -1: the newest, after the one before was compacted. */
  readonly revision: number;
  /** The last key that was returned, without the resource's prefix. */
  readonly after: string;
}

/** Signs continue tokens, so that what comes back is what was given: they name keys in the store. */
export class ContinueTokens {
  readonly #secret: Uint8Array;

  /** @param secret The same for all servers of one cluster if a list may go on at another; random is fine for one server. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  encode({ revision, after }: ContinuePoint, prefix: string): string {
    const body = JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: after });
    return Buffer.from(`${this.#sign(prefix, body)}${body}`).toString('base64url');
  }

  /** @throws {StatusError} BadRequest: it is not one of ours, or of another list. */
  decode(token: string, prefix: string): ContinuePoint {
    const text = Buffer.from(token, 'base64url').toString('utf8');
    const signature = text.slice(0, 22);
    const body = text.slice(22);
    const expected = this.#sign(prefix, body);
    if (signature.length !== expected.length || !timingSafeEqual(Buffer.from(signature), Buffer.from(expected))) {
      throw badRequest('continue key is not valid: it was not given out by this server for this list');
    }
    const { rv, start } = JSON.parse(body) as { rv: number; start: string };
    return { revision: rv, after: start };
  }

  #sign(prefix: string, body: string): string {
    return createHmac('sha256', this.#secret).update(`${prefix}\n${body}`).digest('base64url').slice(0, 22);
  }
}
