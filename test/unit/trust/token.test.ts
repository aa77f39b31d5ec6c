import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeToken, encodeToken, hashOfSecret, newSecret, type Invitation } from '../../../src/trust/token.ts';

const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
const invitation: fc.Arbitrary<Invitation> = fc.record({
  rootFingerprint: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  secret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  addresses: fc.array(fc.record({ host, port: fc.integer({ min: 0, max: 65_535 }) }), { minLength: 1, maxLength: 6 }),
});
const some: Invitation = {
  rootFingerprint: newSecret(),
  secret: newSecret(),
  addresses: [
    { host: '192.0.2.7', port: 7423 },
    { host: 'fd7a:115c::1', port: 7423 },
    { host: 'laptop.example.ts.net', port: 443 },
  ],
};
const failing = (code: string) => (why: RegExp): Error => expect.objectContaining({ code, message: expect.stringMatching(why) as string }) as Error;
const invalid = failing('invalid');
const denied = failing('denied');

describe('a token', () => {
  test('reads as what was written', () => {
    fc.assert(
      fc.property(invitation, (each) => {
        expect(decodeToken(encodeToken(each))).toEqual(each);
      }),
    );
  });

  test('is one word, and may be wrapped by a terminal', () => {
    const token = encodeToken(some);
    expect(token).toMatch(/^bkn1\.[A-Za-z0-9_-]+$/);
    expect(decodeToken(`  ${token.slice(0, 40)}\n  ${token.slice(40)}\r\n`)).toEqual(some);
  });

  test('cut anywhere is denied, and says so', () => {
    const token = encodeToken(some);
    for (let length = 0; length < token.length; length += 1) {
      expect(() => decodeToken(token.slice(0, length))).toThrow(
        length < 5 ? denied(/not a Beckon token/) : denied(/cut short|a part of it is missing|names no address/),
      );
    }
  });

  test('with one character changed is denied', () => {
    const token = encodeToken(some);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...letters), (at, letter) => {
        fc.pre(token.charAt(at) !== letter);
        expect(() => decodeToken(token.slice(0, at) + letter + token.slice(at + 1))).toThrow(denied(/not a Beckon token/));
      }),
      { numRuns: 500 },
    );
  });

  test('with something after it is denied', () => {
    expect(() => decodeToken(`${encodeToken(some)}AAAA`)).toThrow(denied(/altered/));
  });

  test.each([
    ['', /it is empty/],
    ['hello', /a token starts with bkn1\./],
    ['bkn2.AAAA', /a newer Beckon made it/],
    ['bkn1.ab=c', /characters that no token has/],
    [`bkn1.${'A'.repeat(20_000)}`, /too long/],
  ])('%.20s is none', (text, why) => {
    expect(() => decodeToken(text)).toThrow(denied(why));
  });

  test('any other text is denied and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.uint8Array().map((each) => `bkn1.${Buffer.from(each).toString('base64url')}`)), (text) => {
        expect(() => decodeToken(text)).toThrow(denied(/not a Beckon token/));
      }),
    );
  });

  test('needs an address, and takes no text that is none', () => {
    expect(() => encodeToken({ ...some, addresses: [] })).toThrow(invalid(/1 to 32 addresses/));
    expect(() => encodeToken({ ...some, addresses: [{ host: 'a b', port: 1 }] })).toThrow(invalid(/not host:port/));
  });
});

test('what is stored of a secret is a hash that is no plain SHA-256 of it', () => {
  expect(hashOfSecret(some.secret)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashOfSecret(some.secret)).toBe(hashOfSecret(Uint8Array.from(some.secret)));
  expect(hashOfSecret(newSecret())).not.toBe(hashOfSecret(some.secret));
});
