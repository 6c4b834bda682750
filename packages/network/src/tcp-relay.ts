import type { Socket } from 'node:net';
import { errnoCode } from '@dure/foundation';
import type { DataHandler, OutgoingConnection } from './namespace-sockets.ts';

/** What a relay needs to find its backend. */
export interface BackendSource {
  /** Starts a connection to an endpoint not tried before in this relay, or `undefined` if none is left. What it sends goes to `onData`. */
  next(onData: DataHandler): OutgoingConnection | undefined;
  /** The relay has ended, both sides closed. */
  ended(): void;
}

/** Failures that say that no byte has reached the endpoint: another one may be tried. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL', 'EHOSTDOWN', 'ENOTCONN']);

/**
 * One proxied connection. Bytes go both ways with back-pressure: a side is read only as fast as the other takes.
 * Either side may end its half while the other goes on. Until the backend has taken or sent a byte, a refused connection moves on to the next endpoint;
 * at most one chunk of the client waits for that. A reset on one side is a reset on the other.
 */
export class TcpRelay {
  readonly #client: Socket;
  readonly #source: BackendSource;
  #backend: OutgoingConnection | undefined;
  /** The backend is surely there. */
  #committed = false;
  /** What the client sent before that. */
  #pending: Buffer | undefined;
  #clientEnded = false;
  #backendStartedMs = 0;
  #ended = false;

  constructor(client: Socket, source: BackendSource, nowMs: number) {
    this.#client = client;
    this.#source = source;
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk));
    client.on('end', () => this.#clientEnd());
    client.on('drain', () => this.#backend?.socket.resume());
    client.on('error', (error) => this.#cut(error));
    client.on('close', () => this.#clientClosed());
    this.#connect(nowMs);
  }

  /** Both sides are closed. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** To be called now and then: gives up on an endpoint that has not answered within `connectTimeoutMs`. */
  tick(nowMs: number, connectTimeoutMs: number): void {
    if (this.#committed || this.#ended || !this.#backend || this.#backend.socket.destroyed) return;
    if (this.#backend.isConnected()) this.#commit();
    else if (nowMs - this.#backendStartedMs >= connectTimeoutMs) this.#connect(nowMs);
  }

  /** Cuts both sides. */
  destroy(): void {
    this.#cut();
  }

  #connect(nowMs: number): void {
    const former = this.#backend;
    this.#backend = undefined;
    former?.socket.destroy();
    const backend = this.#source.next((chunk, release) => this.#fromBackend(chunk, release));
    if (!backend) {
      this.#cut(new Error('no endpoint left'));
      return;
    }
    this.#backend = backend;
    this.#backendStartedMs = nowMs;
    const { socket } = backend;
    // Nothing is read from the stream itself, but its end comes only to those who read.
    socket.resume();
    socket.on('end', () => {
      if (this.#backend !== backend) return;
      this.#commit();
      this.#client.end();
    });
    socket.on('drain', () => {
      if (this.#committed) this.#client.resume();
    });
    socket.on('error', (error) => {
      if (this.#backend !== backend) return;
      if (!this.#committed && NOT_CONNECTED.has(errnoCode(error) ?? '')) this.#connect(this.#backendStartedMs);
      // It had said everything and wants no more: what it said must still reach the client.
      else if (socket.readableEnded) this.#client.destroySoon();
      else this.#cut(error);
    });
    socket.on('close', () => {
      if (this.#backend === backend) this.#backendClosed();
    });
    if (this.#pending) this.#sendFirst(this.#pending);
    else if (this.#clientEnded) this.#endBackend();
  }

  #fromClient(chunk: Buffer): void {
    if (this.#committed) {
      const socket = this.#backend?.socket;
      // A chunk above the high-water mark makes write() say false even if the kernel took it whole: what still waits decides.
      if (socket && !socket.write(chunk) && socket.writableLength > 0) this.#client.pause();
      return;
    }
    // Nothing more is read until this has gone out, so that one chunk is all a retry needs.
    this.#pending = this.#pending ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#client.pause();
    this.#sendFirst(chunk);
  }

  #sendFirst(chunk: Buffer): void {
    const backend = this.#backend;
    backend?.socket.write(chunk, (error) => {
      if (!error && this.#backend === backend) this.#commit();
    });
  }

  #commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    this.#pending = undefined;
    if (this.#clientEnded) this.#backend?.socket.end();
    else this.#client.resume();
  }

  #fromBackend(chunk: Buffer, release: (() => void) | undefined): void {
    this.#commit();
    const client = this.#client;
    if (!client.write(chunk, release) && client.writableLength > 0) this.#backend?.socket.pause();
  }

  #clientEnd(): void {
    this.#clientEnded = true;
    this.#endBackend();
  }

  /** Ending a socket that is not connected yet would be an error; it is ended when it is. */
  #endBackend(): void {
    if (this.#committed) this.#backend?.socket.end();
    else if (!this.#pending && this.#backend && !this.#backend.socket.destroyed && this.#backend.isConnected()) this.#commit();
  }

  #clientClosed(): void {
    if (!this.#committed || !this.#clientEnded) this.#backend?.socket.destroy();
    this.#finish();
  }

  #backendClosed(): void {
    this.#backend = undefined;
    if (!this.#client.writableEnded) this.#client.destroy();
    else if (!this.#clientEnded) this.#client.destroySoon();
    this.#finish();
  }

  #cut(error?: Error): void {
    const isReset = error !== undefined;
    for (const socket of [this.#backend?.socket, this.#client]) {
      if (!socket || socket.destroyed) continue;
      if (isReset) socket.resetAndDestroy();
      else socket.destroy();
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#ended || !this.#client.destroyed || (this.#backend && !this.#backend.socket.destroyed)) return;
    this.#ended = true;
    this.#source.ended();
  }
}
