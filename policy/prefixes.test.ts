import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseCidr } from '../geneve/index.js';
import type { Cidr } from './desired.js';
import { covers, fill, mergePrefixes, shortened } from './prefixes.js';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`);
  return parsed;
};
const texts = (...prefixes: readonly string[]) => mergePrefixes(prefixes.map(cidr)).map(({ text }) => text);

/** Prefixes within 10.0.0.0/28 and its IPv6 twin: sixteen addresses to try. */
const small = fc
  .tuple(fc.constantFrom('v4', 'v6'), fc.integer({ min: 0, max: 4 }), fc.nat({ max: 15 }))
  .map(([family, bits, last]) => cidr(family === 'v4' ? `10.0.0.${last}/${28 + bits}` : `2001:db8::${last.toString(16)}/${124 + bits}`));
const ADDRESSES = Array.from({ length: 16 }, (_, last) => [cidr(`10.0.0.${last}/32`), cidr(`2001:db8::${last.toString(16)}/128`)]).flat();

it('merged prefixes hold the same addresses, none within another and no two halves', () => {
  fc.assert(
    fc.property(fc.array(small), (prefixes) => {
      const merged = mergePrefixes(prefixes);
      for (const address of ADDRESSES)
        expect(merged.filter((prefix) => covers(prefix, address)).length).toBe(prefixes.some((prefix) => covers(prefix, address)) ? 1 : 0);
      const parents = merged.map((prefix) => shortened(prefix, prefix.prefixLength - 1).text);
      expect(new Set(parents).size).toBe(parents.length);
    }),
  );
});

it('prefixes fill another when no address is left', () => {
  fc.assert(
    fc.property(small, fc.array(small), (whole, prefixes) => {
      const left = ADDRESSES.filter((address) => covers(whole, address) && !prefixes.some((prefix) => covers(prefix, address)));
      expect(fill(whole, prefixes)).toBe(left.length === 0);
    }),
  );
});

it('halves join as often as they can', () => {
  expect(texts('10.0.0.0/9', '10.128.0.0/10', '10.192.0.0/10')).toEqual(['10.0.0.0/8']);
  expect(texts('0.0.0.0/1', '128.0.0.0/1', '::/0')).toEqual(['0.0.0.0/0', '::/0']);
  expect(texts('10.1.0.0/16', '10.2.0.0/16')).toEqual(['10.1.0.0/16', '10.2.0.0/16']);
});
