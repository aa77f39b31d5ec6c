import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultHandshakeLimits, Handshakes } from '../../../src/trust/handshakes.ts';

const plenty = { burst: 1e9, perMinute: 1e9 };
const limits = { atOnce: 5, atOncePerAddress: 2, rates: { overall: plenty, perAddress: plenty } };

describe('handshakes', () => {
  test('are limited at once, of one address and of all together', () => {
    const handshakes = new Handshakes(limits, () => 0);
    const began = ['a', 'a', 'a', 'b', 'b', 'c', 'd'].map((each) => handshakes.begin(each)?.limit);
    expect(began).toEqual([undefined, undefined, 'handshakes_address', undefined, undefined, undefined, 'handshakes']);
    handshakes.ended('a');
    expect(handshakes.begin('a')).toBeUndefined();
  });

  test('are limited by rate: an address that has used up its own takes nothing from others', () => {
    let nowMs = 0;
    const handshakes = new Handshakes({ atOnce: 100, atOncePerAddress: 100, rates: { overall: { burst: 4, perMinute: 60 }, perAddress: { burst: 2, perMinute: 60 } } }, () => nowMs);
    const begin = (address: string): string | undefined => {
      const over = handshakes.begin(address)?.limit;
      if (over === undefined) handshakes.ended(address);
      return over;
    };
    expect([1, 2, 3, 4, 5].map(() => begin('a'))).toEqual([undefined, undefined, ...Array.from({ length: 3 }, () => 'handshake_rate_address')]);
    expect(['b', 'c', 'd'].map(begin)).toEqual([undefined, undefined, 'handshake_rate']);
    nowMs += 1_000;
    expect(begin('d')).toBeUndefined();
  });

  test('of an address that many come from are limited by what all may alone', () => {
    const handshakes = new Handshakes(limits, () => 0);
    expect([1, 2, 3, 4, 5, 6].map(() => handshakes.begin(undefined)?.limit)).toEqual([...Array.from({ length: 5 }, () => undefined), 'handshakes']);
  });

  test('a hundred nodes at one address may all come at once, and again ten seconds later', () => {
    let nowMs = 0;
    const handshakes = new Handshakes(defaultHandshakeLimits, () => nowMs);
    for (const atMs of [0, 10_000, 20_000]) {
      nowMs = atMs;
      const refused = Array.from({ length: 100 }, () => {
        const over = handshakes.begin('127.0.0.1');
        if (over === undefined) handshakes.ended('127.0.0.1');
        return over;
      });
      expect(refused.filter((each) => each !== undefined)).toEqual([]);
    }
  });

  test('what began and ended leaves nothing behind, in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'fe80::1', 'fe80::2', undefined), fc.boolean()), { maxLength: 300 }), (steps) => {
        const handshakes = new Handshakes(limits, () => 0);
        const underWay: (string | undefined)[] = [];
        for (const [address, isEnd] of steps) {
          if (isEnd) {
            if (underWay.length > 0) handshakes.ended(underWay.shift());
          } else if (handshakes.begin(address) === undefined) underWay.push(address);
          expect(handshakes.underWay).toBe(underWay.length);
        }
        for (const address of underWay.splice(0)) handshakes.ended(address);
        for (const address of ['a', 'b', 'fe80::1']) expect(handshakes.begin(address)).toBeUndefined();
      }),
    );
  });
});
