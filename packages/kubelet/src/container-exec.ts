import type { Clock } from '@dure/foundation';
import type { RuntimeService, StreamSession } from '@dure/runtime';

export interface ExecOutcome {
  readonly exitCode: number;
  /** stdout and stderr as they came, cut at {@link OUTPUT_BYTES_MAX}. */
  readonly output: string;
  readonly timedOut: boolean;
}

const OUTPUT_BYTES_MAX = 10 * 1024;
const DRAIN_MS_MAX = 500;

/** Runs a command in a container to its end. @param timeoutMs 0: no limit. @throws what the runtime throws when it cannot start it. */
export async function runInContainer(
  runtime: RuntimeService,
  clock: Clock,
  containerId: string,
  command: readonly string[],
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ExecOutcome> {
  const session = await runtime.exec(containerId, { command, tty: false, stdin: false, ...(timeoutMs > 0 ? { timeoutMs } : {}) }, signal);
  const done = new AbortController();
  const stop = signal === undefined ? done.signal : AbortSignal.any([done.signal, signal]);
  try {
    const output = collect(session);
    const ended = session.exited.then(async (exitCode) => {
      // A child that went on in the background may hold the streams open; what is here is enough then.
      await Promise.race([drained(session), clock.sleep(DRAIN_MS_MAX, stop).catch(() => undefined)]);
      return { exitCode, timedOut: false };
    });
    ended.catch(() => undefined);
    const outcome =
      timeoutMs > 0
        ? await Promise.race([ended, clock.sleep(timeoutMs, stop).then(() => ({ exitCode: 137, timedOut: true }))])
        : await Promise.race([ended, rejectOnAbort(stop, done.signal)]);
    if (outcome.timedOut) session.destroy();
    return { ...outcome, output: output() };
  } catch (error) {
    session.destroy();
    throw error;
  } finally {
    done.abort();
  }
}

async function drained({ stdout, stderr }: StreamSession): Promise<void> {
  const ends = [stdout, stderr].map(
    (stream) =>
      new Promise<void>((resolve) => {
        if (stream === undefined || stream.readableEnded || stream.destroyed) return resolve();
        stream.once('end', resolve);
        stream.once('close', resolve);
      }),
  );
  await Promise.all(ends);
}

function collect(session: StreamSession): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  const take = (chunk: Buffer): void => {
    if (size >= OUTPUT_BYTES_MAX) return;
    chunks.push(chunk.subarray(0, OUTPUT_BYTES_MAX - size));
    size += chunk.length;
  };
  for (const stream of [session.stdout, session.stderr]) {
    stream?.on('data', take);
    stream?.on('error', () => undefined);
  }
  return () => Buffer.concat(chunks).toString('utf8');
}

function rejectOnAbort(signal: AbortSignal, done: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => (done.aborted ? undefined : reject(signal.reason)), { once: true });
  });
}
