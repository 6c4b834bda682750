import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { NativeStepError } from './errors.ts';
import { FRAME_HEADER_BYTES } from './frames.ts';
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
    const fail = (failure: NativeFailure): void => settle(() => reject(new NativeStepError('connect', failure)));
    const onAbort = (): void => settle(() => reject(signal?.reason));
    const onClose = (): void => fail({ step: 'dure-run connect ended without a word', errno: 0 });
    const onError = (error: Error): void => fail({ step: `run ${binary}`, errno: 0, error: error.message });
    let header: Buffer | null = null;
    // Exactly one frame is taken; what follows it belongs to the connection and stays in the socket.
    const onReadable = (): void => {
      header ??= socket.read(FRAME_HEADER_BYTES) as Buffer | null;
      if (header === null) return;
      const length = header.readUInt32BE(1);
      const data = length === 0 ? Buffer.alloc(0) : (socket.read(length) as Buffer | null);
      if (data === null) return;
      if (header[0] !== 'S'.charCodeAt(0)) {
        fail(parseNativeFailure(data));
        return;
      }
      settle(undefined);
      // Each side may end alone: the other still speaks.
      socket.allowHalfOpen = true;
      resolve(socket);
    };
    function settle(failed: (() => void) | undefined): void {
      signal?.removeEventListener('abort', onAbort);
      socket.off('readable', onReadable);
      socket.off('close', onClose);
      if (failed === undefined) return;
      socket.destroy();
      failed();
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    child.on('error', onError);
    // Without a listener of the user's own a reset would end this process.
    socket.on('error', () => undefined);
    socket.on('readable', onReadable);
    socket.on('close', onClose);
    child.unref();
  });
}
