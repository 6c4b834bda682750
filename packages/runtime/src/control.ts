import type { Socket } from 'node:net';
import { encodeFrame, type Frame, type RequestType } from './frames.ts';

/** A supervisor's connection was cut before it answered. */
export class ControlClosedError extends Error {
  override readonly name = 'ControlClosedError';
  readonly code = 'RUNTIME_CONTROL_CLOSED';
}

/**
 * Our line to the supervisor of one container, fed with what {@link readFrames} reads. Its end is the news that the supervisor has
 * ended: nothing polls. Requests are answered in order.
 */
export class Control {
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  /** Resolves when the line is cut: by the supervisor's end, or by {@link close}. */
  readonly ended: Promise<void>;
  #socket: Socket | undefined;
  #gone = false;
  #end = (): void => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Takes the socket once the supervisor is known to serve it. */
  open(socket: Socket): void {
    this.#socket = socket;
  }

  handle({ type, data }: Frame): void {
    if (type !== 'R') return;
    const waiting = this.#waiting.shift();
    if (data.length === 0) waiting?.resolve();
    else waiting?.reject(new Error(data.toString()));
  }

  closed(): void {
    this.#gone = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new ControlClosedError('the supervisor ended before it answered'));
    this.#end();
  }

  /**
   * Sends a signal to the container's program, which the supervisor has not reaped, so no other process can be meant. 0 only asks
   * whether the supervisor serves. @throws {ControlClosedError}
   */
  signal(number: number): Promise<void> {
    return this.#request('K', Buffer.of(number));
  }

  /** Opens the log file anew. @throws {Error} It could not be opened; the old one stays in use. @throws {ControlClosedError} */
  reopenLog(): Promise<void> {
    return this.#request('L');
  }

  /** Lets go of the line; the supervisor goes on. */
  close(): void {
    this.#socket?.destroy();
  }

  #request(type: RequestType, data?: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (this.#gone || socket === undefined) return Promise.reject(new ControlClosedError('the supervisor has ended'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      socket.write(encodeFrame(type, data));
    });
  }
}
