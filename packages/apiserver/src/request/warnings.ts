/** Longer headers are refused by clients and proxies. @see apiserver, `warning` */
const TEXT_MAX = 256;
const TOTAL_MAX = 4096;

/** Collects what a request's client should be told, once each. */
export class Warnings {
  readonly #messages = new Set<string>();
  #size = 0;

  add(message: string): void {
    const text = message.length > TEXT_MAX && this.#size + message.length > TOTAL_MAX ? `${message.slice(0, TEXT_MAX - 3)}...` : message;
    if (this.#messages.has(text) || this.#size + text.length > TOTAL_MAX) return;
    this.#messages.add(text);
    this.#size += text.length;
  }

  /** Values of the Warning header (RFC 7234, 5.5). */
  headers(): readonly string[] {
    return [...this.#messages].map((message) => `299 - "${message.replace(/[\\"]/g, '\\$&').replace(/[^\x20-\x7e]/g, ' ')}"`);
  }
}
