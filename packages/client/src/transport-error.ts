/** No answer came: the connection was refused, broke or timed out, or what came was not HTTP with JSON. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code = 'CLIENT_TRANSPORT';
  /** False where the request cannot have reached the server, so that sending it again is safe for every verb. */
  readonly mayHaveArrived: boolean;

  constructor(
    attempt: { readonly method: string; readonly path: string; readonly server?: string },
    why: string,
    options: { readonly cause?: unknown; readonly mayHaveArrived: boolean },
  ) {
    const target = attempt.server === undefined ? attempt.path : `${attempt.server}${attempt.path}`;
    super(`${attempt.method} ${target}: ${why}`, options.cause === undefined ? {} : { cause: options.cause });
    this.mayHaveArrived = options.mayHaveArrived;
  }
}
