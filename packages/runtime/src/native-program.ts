import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { encodeFrame, type Frame, readFrames } from './frames.ts';
import { type NativeFailure, parseNativeFailure } from './native-failure.ts';

const SIGKILL = 9;

/** What a `dure-run` process says until its start is settled, and the socket from then on. */
export type NativeStart =
  | { readonly kind: 'started'; readonly answer: unknown; readonly socket: Socket; readonly process: ChildProcess }
  | { readonly kind: 'failed'; readonly failure: NativeFailure };

export interface NativeOptions {
  readonly binary: string;
  readonly args: readonly string[];
  /** Before the start is settled: what was begun is killed, and the promise rejects once the process has ended. Afterwards without effect. */
  readonly signal?: AbortSignal | undefined;
  /** Gets every frame after the start. */
  readonly onFrame?: (frame: Frame) => void;
  readonly onClose?: (error: Error | undefined) => void;
}

/**
 * Starts `dure-run` in a session of its own, so that neither our group's signals nor our death reach it, and waits for its first word.
 * Descriptor 3 is the session socket. @throws the signal's reason.
 */
export function startNative({ binary, args, signal, onFrame, onClose }: NativeOptions): Promise<NativeStart> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn(binary, args, { detached: true, cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    const socket = child.stdio[3] as Socket;
    let settled = false;
    const settle = (outcome: NativeStart): void => {
      if (settled) return;
      settled = true;
      signal?.removeEventListener('abort', onAbort);
      child.unref();
      if (outcome.kind === 'failed') socket.destroy();
      resolve(outcome);
    };
    const onAbort = (): void => {
      if (settled) return;
      // Read once the program runs; a start cannot be called back half-way, only ended.
      socket.write(encodeFrame('K', Buffer.of(SIGKILL)));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    child.on('error', (error) => settle({ kind: 'failed', failure: { step: `run ${binary}`, errno: 0, error: error.message } }));
    readFrames(
      socket,
      (frame) => {
        if (signal?.aborted && !settled) return;
        if (settled) onFrame?.(frame);
        else if (frame.type === 'S') settle({ kind: 'started', answer: JSON.parse(frame.data.toString() || '{}'), socket, process: child });
        else if (frame.type === 'F') settle({ kind: 'failed', failure: parseNativeFailure(frame.data) });
      },
      (error) => {
        if (signal?.aborted && !settled) {
          settled = true;
          child.unref();
          reject(signal.reason);
          onClose?.(error);
          return;
        }
        settle({
          kind: 'failed',
          failure: { step: `${binary} ${args[0]} ended without a word`, errno: 0, ...(error ? { error: error.message } : {}) },
        });
        onClose?.(error);
      },
    );
  });
}
