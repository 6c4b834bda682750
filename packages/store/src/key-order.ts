/**
 * Order of keys by their UTF-8 bytes: negative, zero or positive, as `Array.prototype.sort` wants it.
 * Differs from `<`, which compares UTF-16 units and puts U+10000 and above before U+E000.
 */
export function compareKeys(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return byteRank(left) - byteRank(right);
  }
  return a.length - b.length;
}

/** Moves surrogates (halves of U+10000 and above) behind all other units, where their UTF-8 bytes stand. */
function byteRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
