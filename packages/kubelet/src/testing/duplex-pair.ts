import { Duplex } from 'node:stream';

/** Two ends of a wire: what is written to one is read from the other, with back-pressure. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const callbacks: (((error?: Error | null) => void) | undefined)[] = [undefined, undefined];
  for (const mine of [0, 1]) {
    const theirs = 1 - mine;
    ends.push(
      new Duplex({
        read() {
          // The other end's write was held until this one wanted more.
          const resume = callbacks[theirs];
          callbacks[theirs] = undefined;
          resume?.();
        },
        write(chunk: Buffer, _encoding, done) {
          if (ends[theirs]?.push(chunk)) done();
          else callbacks[mine] = done;
        },
        final(done) {
          ends[theirs]?.push(null);
          done();
        },
        destroy(error, done) {
          const other = ends[theirs];
          if (other !== undefined && !other.destroyed) setImmediate(() => other.destroy());
          done(error);
        },
      }),
    );
  }
  return [ends[0] as Duplex, ends[1] as Duplex];
}
