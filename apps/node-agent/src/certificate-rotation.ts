import { type Clock, isAbort, type Logger, type Random, retryDelayMs } from '@dure/foundation';
import { parseCertificate } from '@dure/pki';
import type { IssuedCertificate } from './certificate-request.ts';

/** Share of its life after which a certificate is replaced; where in between is left to chance, so that nodes do not all ask at once. */
const RENEW_SHARE_MIN = 0.7;
const RENEW_SHARE_SPREAD = 0.1;
const BACKOFF = { baseMs: 1_000, maxMs: 300_000 };
/** Timers of Node cannot be longer than 24 days. */
const SLEEP_MS_MAX = 24 * 3_600_000;

export interface RotationOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** For the log. */
  readonly what: string;
  /** Absent: there is none yet, ask at once. */
  readonly current: IssuedCertificate | undefined;
  readonly obtain: (signal: AbortSignal) => Promise<IssuedCertificate>;
  readonly install: (issued: IssuedCertificate) => Promise<void>;
  /** Resolves when the certificate is to be replaced before its time (an address changed). */
  readonly outdated?: (issued: IssuedCertificate, signal: AbortSignal) => Promise<void>;
}

/** Keeps a certificate good for as long as `signal` lets it; nothing restarts. */
export async function keepCertificate(options: RotationOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, log, what, obtain, install } = options;
  let current = options.current;
  for (let failures = 0; !signal.aborted; ) {
    try {
      if (current !== undefined) await untilDue(options, current, random.next(), signal);
      current = await obtain(signal);
      await install(current);
      failures = 0;
      log.info('certificate obtained', { what, notAfter: new Date(parseCertificate(current.certificate).notAfterMs).toISOString() });
    } catch (error) {
      if (isAbort(error, signal)) return;
      failures += 1;
      log.warn('certificate not obtained, trying again', { what, error });
      await clock.sleep(retryDelayMs(failures, BACKOFF), signal).catch(() => undefined);
    }
  }
}

async function untilDue(
  { clock, outdated }: RotationOptions,
  current: IssuedCertificate,
  chance: number,
  signal: AbortSignal,
): Promise<void> {
  const { notBeforeMs, notAfterMs } = parseCertificate(current.certificate);
  const share = RENEW_SHARE_MIN + chance * RENEW_SHARE_SPREAD;
  const dueAtMs = notBeforeMs + (notAfterMs - notBeforeMs) * share;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const due = async (): Promise<void> => {
    while (clock.now() < dueAtMs) await clock.sleep(Math.min(dueAtMs - clock.now(), SLEEP_MS_MAX), stop);
  };
  const waits = [due(), ...(outdated === undefined ? [] : [outdated(current, stop)])];
  for (const wait of waits) wait.catch(() => undefined);
  try {
    await Promise.race(waits);
  } finally {
    done.abort();
  }
}
