/** A copy of something read, and what gives its memory back. */
export interface PooledChunk {
  readonly chunk: Buffer;
  /** To be called when nobody looks at `chunk` any more. Never called: the memory is simply not used again. Twice is as good as once. */
  readonly release: () => void;
}

/**
 * Memory for large chunks that wait to be written, used again and again: a proxy that carries files would otherwise spend half its time with fresh
 * pages for copies that live for microseconds.
 */
export class ChunkPool {
  readonly #free: Buffer[] = [];
  readonly #chunkBytesMax: number;
  readonly #keptMax: number;

  /** @param chunkBytesMax Size of each piece of memory. @param keptMax Pieces kept while nobody uses them. */
  constructor(chunkBytesMax: number, keptMax: number) {
    this.#chunkBytesMax = chunkBytesMax;
    this.#keptMax = keptMax;
  }

  /** @throws {RangeError} `bytes` are more than a piece holds. */
  copy(bytes: Uint8Array): PooledChunk {
    if (bytes.length > this.#chunkBytesMax) throw new RangeError(`a chunk holds ${this.#chunkBytesMax} bytes, got ${bytes.length}`);
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#chunkBytesMax);
    memory.set(bytes);
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      if (this.#free.length < this.#keptMax) this.#free.push(memory);
    };
    return { chunk: memory.subarray(0, bytes.length), release };
  }
}
