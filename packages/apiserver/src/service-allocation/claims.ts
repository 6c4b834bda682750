import type { Clock } from '@dure/foundation';
import { type Revision, RevisionConflictError, type Store } from '@dure/store';

/** Who holds an address or port. */
export interface ClaimOwner {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Claim extends ClaimOwner {
  readonly claimedAtMs: number;
}

/** How a claim is written down. */
export interface ClaimForm {
  encode(item: string, claim: Claim): Uint8Array;
  /** @returns `undefined`: it is somebody's who made it by other means, and is never taken for abandoned. */
  decode(stored: Uint8Array): Claim | undefined;
}

/** For claims that nobody reads but this server. */
export const plainClaims: ClaimForm = {
  encode: (_item, claim) => Buffer.from(JSON.stringify(claim)),
  decode: (stored) => JSON.parse(Buffer.from(stored).toString('utf8')) as Claim,
};

/** A claim whose Service does not exist is left alone so long: the Service may be on its way into the store. */
const ABANDONED_AFTER_MS = 120_000;

/**
 * Things that only one Service may hold, each a key of the store: a compare-and-swap decides, so that any number of servers may give out
 * addresses at the same time. A claim comes before its Service and goes after it; what a crash leaves between is taken over later.
 */
export class Claims {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #form: ClaimForm;
  readonly #clock: Clock;
  readonly #exists: (owner: ClaimOwner) => Promise<boolean>;

  /** @param exists Whether the owner's Service stands in the store, by the newest state. */
  constructor(store: Store, prefix: string, form: ClaimForm, clock: Clock, exists: (owner: ClaimOwner) => Promise<boolean>) {
    this.#store = store;
    this.#prefix = prefix;
    this.#form = form;
    this.#clock = clock;
    this.#exists = exists;
  }

  /** `taken`: somebody else holds it. `held`: the owner held it before already. */
  async claim(item: string, owner: ClaimOwner): Promise<'claimed' | 'held' | 'taken'> {
    const key = `${this.#prefix}${item}`;
    const value = this.#form.encode(item, { ...owner, claimedAtMs: this.#clock.now() });
    let expected = 0 as Revision;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        await this.#store.append({ kind: 'put', key, value }, expected, 'durable');
        return 'claimed';
      } catch (error) {
        if (!(error instanceof RevisionConflictError)) throw error;
        const { winner } = error;
        if (winner === undefined) {
          expected = 0 as Revision;
          continue;
        }
        const holder = this.#form.decode(winner.value);
        if (holder?.uid === owner.uid) return 'held';
        if (!(await this.#isAbandoned(holder))) return 'taken';
        expected = winner.modifiedAt;
      }
    }
    return 'taken';
  }

  /** True where nobody holds it. */
  async isFree(item: string): Promise<boolean> {
    const entry = await this.#store.get(`${this.#prefix}${item}`);
    return entry === undefined || (await this.#isAbandoned(this.#form.decode(entry.value)));
  }

  /** Gives it back; nothing happens where the owner does not hold it. */
  async release(item: string, owner: ClaimOwner): Promise<void> {
    const key = `${this.#prefix}${item}`;
    const entry = await this.#store.get(key);
    if (entry === undefined || this.#form.decode(entry.value)?.uid !== owner.uid) return;
    await this.#store.append({ kind: 'delete', key }, entry.modifiedAt, 'durable').catch((error: unknown) => {
      // Whoever was faster holds it by right.
      if (!(error instanceof RevisionConflictError)) throw error;
    });
  }

  /** Everything that is held. */
  async held(): Promise<ReadonlySet<string>> {
    const { entries } = await this.#store.list(this.#prefix);
    return new Set(entries.map(({ key }) => key.slice(this.#prefix.length)));
  }

  async #isAbandoned(claim: Claim | undefined): Promise<boolean> {
    return claim !== undefined && this.#clock.now() - claim.claimedAtMs > ABANDONED_AFTER_MS && !(await this.#exists(claim));
  }
}
