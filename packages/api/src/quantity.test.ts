import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseBytes,
  parseMillis,
  parseQuantity,
  QuantityError,
  quantityFromMillis,
  quantityOf,
  subtractQuantities,
} from './quantity.ts';

interface CanonicalCase {
  readonly given: string;
  readonly canonical: string;
}

const canonicalCases: readonly CanonicalCase[] = [
  { given: '0', canonical: '0' },
  { given: '0Mi', canonical: '0' },
  { given: '1', canonical: '1' },
  { given: '+1', canonical: '1' },
  { given: '-1', canonical: '-1' },
  { given: '0.1', canonical: '100m' },
  { given: '.5', canonical: '500m' },
  { given: '1.', canonical: '1' },
  { given: '1000m', canonical: '1' },
  { given: '1500m', canonical: '1500m' },
  { given: '2000', canonical: '2k' },
  { given: '1500', canonical: '1500' },
  { given: '1024Mi', canonical: '1Gi' },
  { given: '1.5Gi', canonical: '1536Mi' },
  { given: '0.5Ki', canonical: '512' },
  { given: '1Ki', canonical: '1Ki' },
  { given: '1023', canonical: '1023' },
  { given: '1.1Ki', canonical: '1126400m' },
  { given: '1e3', canonical: '1e3' },
  { given: '12E3', canonical: '12e3' },
  { given: '1e-3', canonical: '1e-3' },
  { given: '1E', canonical: '1E' },
  { given: '100n', canonical: '100n' },
  { given: '0.1n', canonical: '1n' },
  { given: '-0.1n', canonical: '-1n' },
  { given: '1000000u', canonical: '1' },
  { given: '129e6', canonical: '129e6' },
  { given: '9223372036854775807', canonical: '9223372036854775807' },
  { given: '99999999999999999999', canonical: '9223372036854775807' },
  { given: '8Ei', canonical: '9223372036854775807' },
];

describe('quantities', () => {
  it.each(canonicalCases)('spells $given as $canonical', ({ given, canonical }) => {
    expect(canonicalQuantity(given)).toBe(canonical);
  });

  it.each(['', ' ', 'abc', '1.2.3', '1 ', '1kk', '1ki', '1K', '--1', '1e', '.', '0x10', '1Mib'])('refuses %j', (text) => {
    expect(() => parseQuantity(text)).toThrow(QuantityError);
  });

  it('takes JSON numbers and refuses other JSON values', () => {
    expect(quantityOf(2)).toEqual(parseQuantity('2'));
    expect(quantityOf(true)).toBeUndefined();
    expect(quantityOf('x')).toBeUndefined();
  });

  it('rounds whole units and thousandths up', () => {
    expect(parseBytes('1Gi')).toBe(1_073_741_824n);
    expect(parseBytes('100m')).toBe(1n);
    expect(parseMillis('0.25')).toBe(250n);
    expect(parseMillis('1u')).toBe(1n);
  });

  it('adds, subtracts and compares exactly', () => {
    expect(formatQuantity(addQuantities(parseQuantity('1Gi'), parseQuantity('512Mi')))).toBe('1536Mi');
    expect(formatQuantity(subtractQuantities(parseQuantity('1'), parseQuantity('250m')))).toBe('750m');
    expect(compareQuantities(parseQuantity('1000m'), parseQuantity('1'))).toBe(0);
    expect(compareQuantities(parseQuantity('1Gi'), parseQuantity('1G'))).toBe(1);
    expect(formatQuantity(quantityFromMillis(1500))).toBe('1500m');
  });

  it('keeps the value through its canonical spelling', () => {
    const seed = Number(process.env.DURE_SEED ?? Date.now() % 2 ** 31);
    const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'T', 'Ki', 'Mi', 'Gi', 'Ti', 'e3', 'e-2');
    const number = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 999 }));
    fc.assert(
      fc.property(number, suffix, fc.boolean(), ([whole, fraction], unit, negative) => {
        const text = `${negative ? '-' : ''}${whole}.${String(fraction).padStart(3, '0')}${unit}`;
        const once = parseQuantity(text);
        const again = parseQuantity(formatQuantity(once));
        expect(again.nanos, `seed ${seed}`).toBe(once.nanos);
        expect(formatQuantity(again)).toBe(formatQuantity(once));
      }),
      { seed },
    );
  });
});
