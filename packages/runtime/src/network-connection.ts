import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { NativeStepError } from './errors.ts';
import { FrameDecoder } from './frames.ts';
import { type NativeFailure, parseNativeFailure } from './native-failure.ts';

/**
 * A TCP connection to 127.0.0.1 (else ::1) inside a network namespace, carried by a `dure-run` of its own until either side ends.
 * @param namespacePath Absent: our own network. @throws {NativeStepError} Nothing listens there. @throws the signal's reason.
 */
export function connectInNamespace(binary: string, namespacePath: string | undefined, port: number, signal?: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const args = ['connect', namespacePath ?? '-', String(port)];
    const child = spawn(binary, args, { detached: true, cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    const socket = child.stdio[3] as Socket;
    const decoder = new FrameDecoder();
    const fail = (failure: NativeFailure): void => settle(() => reject(new NativeStepError('connect', failure)));
    const onAbort = (): void => settle(() => reject(signal?.reason));
    const onClose = (): void => fail({ step: 'dure-run connect ended without a word', errno: 0 });
    const onData = (chunk: Buffer): void => {
      const [frame] = decoder.push(chunk);
      if (frame?.type === 'F') fail(parseNativeFailure(frame.data));
      if (frame?.type !== 'S') return;
      settle(undefined);
      // Each side may end alone: the other still speaks.
      socket.allowHalfOpen = true;
      socket.pause();
      const rest = decoder.rest();
      if (rest.length > 0) socket.unshift(rest);
      resolve(socket);
    };
    const onError = (error: Error): void => fail({ step: `run ${binary}`, errno: 0, error: error.message });
    function settle(failed: (() => void) | undefined): void {
      signal?.removeEventListener('abort', onAbort);
      socket.off('data', onData);
      socket.off('close', onClose);
      if (failed === undefined) return;
      socket.destroy();
      failed();
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    child.on('error', onError);
    // Without a listener of the user's own a reset would end this process.
    socket.on('error', () => undefined);
    socket.on('data', onData);
    socket.on('close', onClose);
    child.unref();
  });
}
