import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, errnoCode, type Logger, messageOf } from '@dure/foundation';
import type { Store } from './contract.ts';
import { DiskReserve } from './disk-reserve.ts';
import { StoreLockedError, StoreOpenError } from './errors.ts';
import { History, NO_REVISION } from './history.ts';
import { LevelJournal, type OpenedJournal } from './level-journal.ts';
import { LogStore, type LogStoreLimits } from './log-store.ts';

export interface EmbeddedStoreOptions extends LogStoreLimits {
  /** Made if missing, readable by its owner only. One process at a time. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * Prefixes of the keys that may be written volatile; other writes are durable whatever they ask for. The fewer, the more watches go on
   * after a crash as if nothing had been. Default: all keys.
   */
  readonly volatileUnder?: readonly string[] | undefined;
  /** How long a volatile write may stay in memory. Default: one minute. */
  readonly flushIntervalMs?: number | undefined;
  /** Space held back for the day that the disk is full. Default: 32 MiB, which a compaction of LevelDB fits in. */
  readonly reserveBytes?: number | undefined;
}

/**
 * The store in a directory of this machine.
 * @throws {StoreLockedError} Another process has it open. @throws {StoreOpenError} It cannot be read, or written, or is damaged.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { directory, clock, log, volatileUnder = [''], flushIntervalMs = 60_000, reserveBytes = 32 << 20, ...limits } = options;
  const { journal, state, records, revision } = await open(options, () =>
    LevelJournal.open({
      directory: join(directory, 'level'),
      reserve: new DiskReserve(join(directory, 'reserve'), reserveBytes),
      clock,
      log,
      volatileUnder,
      flushIntervalMs,
    }),
  );
  const history = new History(state.compactedAt, revision, state.lost);
  for (const record of records) {
    const previous = record.createdAt < record.revision ? (history.get(record.key, record.revision)?.revision ?? NO_REVISION) : NO_REVISION;
    history.apply({ ...record, previous });
  }
  const left = history.pruneAll();
  if (left.length > 0) await journal.forget(state.compactedAt, left);
  log.info('store opened', { directory, revision, records: records.length - left.length });
  return new LogStore({ journal, history, clock, ...limits });
}

async function open({ directory }: EmbeddedStoreOptions, openJournal: () => Promise<OpenedJournal>): Promise<OpenedJournal> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await openJournal();
  } catch (cause) {
    const isLocked = errnoCode(cause) === 'LEVEL_LOCKED' || (cause instanceof Error && errnoCode(cause.cause) === 'LEVEL_LOCKED');
    throw isLocked ? new StoreLockedError(directory, { cause }) : new StoreOpenError(directory, messageOf(cause), { cause });
  }
}
