import type { Authenticated } from './authenticator.ts';

/** One way to tell whose a bearer token is. */
export interface TokenAuthenticator {
  /**
   * `undefined`: not a token of this sort, so that others may look at it.
   * @param audiences Those that the token should be meant for; empty where the asker has named none and this server's own count.
   * @throws {Error} It is of this sort and not good. The message says why, without the token.
   */
  authenticate(token: string, audiences: readonly string[], signal: AbortSignal): Promise<Authenticated | undefined>;
}
