import { type Amounts, amountsJson, conflict, equalAmounts, type JsonObject, type KubeObject } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { StatusSwap } from '../contract/status-swap.ts';
import { type Charge, chargedUsage, type QuotaAccount, quotaAccount } from './quota-charge.ts';

/** Each lost race means that another server's claim went through. */
const TRIES = 16;

interface Waiting extends Charge {
  readonly signal: AbortSignal;
  admit(): void;
  refuse(error: unknown): void;
}

/**
 * Takes from the ResourceQuotas of a namespace what a write is about to use, by compare-and-swap of their status: writers and servers, however
 * many, cannot come to more than the limit together. Claims of one namespace that come while another is being written go together in one write.
 *
 * A claim comes before its object. What is claimed for a write that fails after all is given back by the resourcequota controller.
 */
export class QuotaClaims {
  readonly #reader: ObjectReader;
  readonly #statuses: StatusSwap;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting[]>();
  /** Quotas as this server left them, by namespace and uid, until the cache shows them so. */
  readonly #written = new Map<string, Map<string, KubeObject>>();

  constructor(reader: ObjectReader, statuses: StatusSwap, clock: Clock) {
    this.#reader = reader;
    this.#statuses = statuses;
    this.#clock = clock;
  }

  /** @throws {StatusError} Forbidden: a quota has no room. Conflict: the quotas change faster than this claim can be made. */
  async claim(charge: Charge, signal: AbortSignal): Promise<void> {
    const { namespace } = charge.request;
    const queue = this.#waiting.get(namespace);
    if (queue === undefined && (await this.#quotas(namespace)).length === 0) return;
    await new Promise<void>((admit, refuse) => {
      const waiting: Waiting = { ...charge, signal, admit, refuse };
      const present = this.#waiting.get(namespace);
      if (present !== undefined) {
        present.push(waiting);
        return;
      }
      this.#waiting.set(namespace, [waiting]);
      void this.#work(namespace);
    });
  }

  async #work(namespace: string): Promise<void> {
    for (;;) {
      const batch = (this.#waiting.get(namespace) ?? []).splice(0);
      if (batch.length === 0) break;
      try {
        await this.#settle(namespace, batch);
      } catch (error) {
        for (const { refuse } of batch) refuse(error);
      }
    }
    this.#waiting.delete(namespace);
  }

  async #settle(namespace: string, batch: readonly Waiting[]): Promise<void> {
    let open = batch.filter(({ signal, refuse }) => {
      if (signal.aborted) refuse(signal.reason);
      return !signal.aborted;
    });
    let accounts = (await this.#quotas(namespace)).map(quotaAccount);
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const before = accounts;
      // Together they must fit, so each is judged by what those before it leave.
      open = open.filter((waiting) => {
        try {
          const after = accounts.map((account) => ({ ...account, used: chargedUsage(account, waiting, this.#clock.now()) }));
          if (!waiting.request.dryRun) accounts = after;
          return true;
        } catch (error) {
          waiting.refuse(error);
          return false;
        }
      });
      const lost = await this.#write(namespace, before, accounts);
      if (lost.length === 0) {
        for (const { admit } of open) admit();
        return;
      }
      // What other quotas gave stays given; these are asked again, as they are now.
      accounts = lost.map(quotaAccount);
    }
    for (const { refuse } of open) refuse(conflict({ group: '', resource: 'resourcequotas' }, accounts[0]?.quota.metadata.name ?? ''));
  }

  /** @returns The quotas that somebody else changed meanwhile, as they are now. */
  async #write(namespace: string, before: readonly QuotaAccount[], after: readonly QuotaAccount[]): Promise<readonly KubeObject[]> {
    // A claim that many wait for does not end with one of them.
    const { signal } = new AbortController();
    const outcomes = await Promise.all(
      after
        .filter(({ used }, index) => !equalAmounts(used, before[index]?.used ?? (new Map() as Amounts)))
        .map(({ quota, used }) => {
          const { status } = quota as KubeObject & { readonly status?: JsonObject };
          return this.#statuses.swap('', 'resourcequotas', quota, { ...status, used: amountsJson(used) }, signal);
        }),
    );
    const known = this.#written.get(namespace) ?? new Map<string, KubeObject>();
    const lost: KubeObject[] = [];
    for (const outcome of outcomes) {
      const object = outcome.kind === 'swapped' ? outcome.object : outcome.winner;
      if (object === undefined) continue;
      known.set(object.metadata.uid, object);
      if (outcome.kind === 'lost') lost.push(object);
    }
    if (known.size > 0) this.#written.set(namespace, known);
    return lost;
  }

  /** The namespace's quotas by name, each as new as this server knows it. */
  async #quotas(namespace: string): Promise<readonly KubeObject[]> {
    const cached = await this.#reader.list('', 'resourcequotas', { namespace });
    const written = this.#written.get(namespace);
    if (written === undefined) return cached;
    const newer = new Map<string, KubeObject>();
    const quotas = cached.map((quota) => {
      const own = written.get(quota.metadata.uid);
      if (own === undefined || Number(own.metadata.resourceVersion) <= Number(quota.metadata.resourceVersion)) return quota;
      newer.set(quota.metadata.uid, own);
      return own;
    });
    if (newer.size === 0) this.#written.delete(namespace);
    else this.#written.set(namespace, newer);
    return quotas;
  }
}
