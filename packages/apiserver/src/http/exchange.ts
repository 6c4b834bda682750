import type { Duplex } from 'node:stream';
import { fromJsonText, toJsonText } from '@dure/api';
import type { PeerCertificate } from '../contract/authenticator.ts';
import type { UserInfo } from '../contract/user.ts';
import type { Feed } from '../watch/feed.ts';

/** One request, whichever door it came through. */
export interface ApiRequest {
  readonly method: string;
  /** Still percent-encoded, without query, starting with '/'. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names; repeated headers joined by ', '. */
  readonly headers: Readonly<Record<string, string>>;
  /** Every line of a header by itself, by its lower-case name; absent where the door knows no lines. */
  readonly headerLines?: (name: string) => readonly string[];
  readonly remoteAddress: string;
  readonly certificate?: PeerCertificate;
  /** Set by the in-process door: such requests are authenticated already and not counted against the in-flight limits. */
  readonly user?: UserInfo;
  /** The whole body. @throws {StatusError} RequestEntityTooLarge beyond the limit. */
  body(): Promise<Uint8Array>;
  /** The body as it comes, for what is forwarded. */
  bodyStream(): AsyncIterable<Uint8Array>;
  /** The raw connection, where the client asked for an upgrade over HTTP/1.1. */
  readonly upgrade?: UpgradeAccess;
  /** Aborts when the client has gone or the server closes. */
  readonly signal: AbortSignal;
}

export interface UpgradeAccess {
  readonly socket: Duplex;
  /** What the client sent behind its request already. */
  readonly head: Uint8Array;
}

/** An encoded thing and its decoded form, each made only when asked for. */
export interface Encodable {
  /** Shared and deeply frozen. */
  value(): unknown;
  bytes(): Uint8Array;
  /** The same bytes in pieces, of things that may be too large to be held in one; absent where they are not. */
  pieces?(): Pieces;
}

/** Bytes that are made one piece after the other, as they are asked for. */
export interface Pieces extends Iterable<Uint8Array> {
  /** Of all together. */
  readonly byteLength: number;
}

export type ResponseBody =
  | { readonly kind: 'empty' }
  | { readonly kind: 'document'; readonly document: Encodable }
  /** Watch events; the bytes of each hold their framing already. */
  | {
      readonly kind: 'frames';
      readonly frames: Feed<Encodable>;
      /** Settles once what a watch begins with has been taken; absent: it begins with nothing. */
      readonly begun?: Promise<void>;
    }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> }
  /** The handler took the connection over; `done` settles when both directions ended. Nothing else may be written. */
  | { readonly kind: 'taken'; readonly done: Promise<void> };

export interface ApiResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: ResponseBody;
}

/** Answers every request; never throws. */
export type RequestHandler = (request: ApiRequest) => Promise<ApiResponse>;

/** A document whose bytes exist already. */
export function encodedDocument(bytes: Uint8Array): Encodable {
  return { bytes: () => bytes, value: () => fromJsonText(Buffer.from(bytes).toString('utf8')) };
}

/** A document that is encoded as JSON when asked. */
export function jsonDocument(value: unknown): Encodable {
  return { value: () => value, bytes: () => Buffer.from(`${toJsonText(value)}\n`) };
}

/** A plain text answer. */
export function textResponse(status: number, text: string, contentType = 'text/plain; charset=utf-8'): ApiResponse {
  return { status, headers: { 'content-type': contentType }, body: { kind: 'document', document: encodedDocument(Buffer.from(text)) } };
}

/** A JSON answer outside the content negotiation of objects. */
export function jsonResponse(status: number, value: unknown): ApiResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: { kind: 'document', document: jsonDocument(value) } };
}
