import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { networkOf, RateLimit } from '../../../src/trust/rate-limit.ts';

const limits = {
  perAddress: { burst: 3, perMinute: 6 },
  overall: { burst: 5, perMinute: 60 },
  mostAddresses: 4,
};

function limited(): { take: (address: string) => boolean; pass: (ms: number) => void } {
  let nowMs = 1000;
  const rates = new RateLimit(limits, () => nowMs);
  return { take: (address) => rates.take(address), pass: (ms) => (nowMs += ms) };
}

describe('a rate limit', () => {
  test('lets a burst of one address through, then one whenever its share has grown', () => {
    const { take, pass } = limited();
    expect([1, 2, 3, 4].map(() => take('192.0.2.1'))).toEqual([true, true, true, false]);
    pass(9999);
    expect(take('192.0.2.1')).toBe(false);
    pass(1);
    expect(take('192.0.2.1')).toBe(true);
    expect(take('192.0.2.1')).toBe(false);
  });

  test('holds all addresses together to the rate for all', () => {
    const { take } = limited();
    const taken = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((each) => take(each));
    expect(taken).toEqual([true, true, true, true, true, false, false]);
  });

  test('one address that floods uses up no more than its own share', () => {
    const { take } = limited();
    for (let request = 0; request < 1000; request += 1) take('192.0.2.1');
    expect(take('192.0.2.2')).toBe(true);
  });

  test('a clock that is set back neither gives nor takes', () => {
    const { take, pass } = limited();
    for (let request = 0; request < 4; request += 1) take('192.0.2.1');
    pass(-100_000);
    expect(take('192.0.2.1')).toBe(false);
    pass(10_000);
    expect(take('192.0.2.1')).toBe(true);
  });

  test('never passes more than burst and rate allow, whoever asks whenever', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.nat(5000)), { maxLength: 200 }), (asks) => {
        const { take, pass } = limited();
        let passed = 0;
        let elapsedMs = 0;
        for (const [address, waitMs] of asks) {
          pass(waitMs);
          elapsedMs += waitMs;
          if (take(address)) passed += 1;
        }
        expect(passed).toBeLessThanOrEqual(limits.overall.burst + (elapsedMs / 60_000) * limits.overall.perMinute + 1e-6);
      }),
    );
  });
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:a1e0:12::1', '2001:db8:a1e0:12::/64'],
  ['2001:db8:a1e0:12:ffff:1:2:3', '2001:db8:a1e0:12::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('machines of a tailnet count one by one, though they share a network', () => {
  expect(networkOf('fd7a:115c:a1e0:ab12:4843:cd96:6258:b240')).not.toBe(networkOf('fd7a:115c:a1e0:ab12:4843:cd96:6258:b241'));
  expect(networkOf('fd7a:115c:a1e0::1')).not.toBe(networkOf('fd7a:115c:a1e0::2'));
  expect(networkOf('fd7a:115c:a1e1::1')).toBe(networkOf('fd7a:115c:a1e1::2'));
});
