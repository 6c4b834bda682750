/** Things in use by work that no record shows yet, so that nobody sweeps them away. */
export class Leases {
  readonly #counts = new Map<string, number>();

  /** Holds `name` until the returned function is called; calling it again does nothing. */
  hold(name: string): () => void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#counts.get(name) ?? 1) - 1;
      if (left === 0) this.#counts.delete(name);
      else this.#counts.set(name, left);
    };
  }

  has(name: string): boolean {
    return this.#counts.has(name);
  }
}
