import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../../src/domain/errors.ts';
import * as ids from '../../../src/domain/ids.ts';
import { caught, codeOf } from './outcome.ts';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const ulids = fc
  .tuple(fc.constantFrom(...alphabet.slice(0, 8).split('')), fc.array(fc.constantFrom(...alphabet.split('')), { minLength: 25, maxLength: 25 }))
  .map(([first, rest]) => first + rest.join(''));
const sample = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';

describe('record ids', () => {
  test('an invocation, its flight and its delivery share one ULID and lead to each other', () => {
    fc.assert(
      fc.property(ulids, (ulid) => {
        const [inv, flt, dlv] = [ids.invocationIdOf(ulid), ids.flightIdOf(ulid), ids.deliveryIdOf(ulid)];
        expect([inv, flt, dlv]).toEqual([`inv_${ulid}`, `flt_${ulid}`, `dlv_${ulid}`]);
        expect(new Set([inv, flt, dlv].map((id) => ids.ulidOf(id)))).toEqual(new Set([ulid]));
        expect(ids.flightOfInvocation(inv)).toBe(flt);
        expect(ids.deliveryOfInvocation(inv)).toBe(dlv);
        expect(ids.invocationOfFlight(flt)).toBe(inv);
        expect(ids.deliveryOfFlight(flt)).toBe(dlv);
      }),
    );
  });

  test.each(['', sample.toLowerCase(), `8${sample.slice(1)}`, `${sample}0`, sample.replace('M', 'U')])('%j is no ULID', (text) => {
    expect(() => ids.invocationIdOf(text)).toThrow(BrokerError);
    expect(ids.isInvocationId(`inv_${text}`)).toBe(false);
  });

  test('each id is recognised by its own prefix only', () => {
    expect(ids.isInvocationId(`inv_${sample}`)).toBe(true);
    expect(ids.isFlightId(`inv_${sample}`)).toBe(false);
    expect(ids.isDeliveryId(ids.deliveryIdOf(sample))).toBe(true);
    expect(ids.isAttemptId(ids.attemptIdOf(sample))).toBe(true);
    expect(ids.isEventId(ids.eventIdOf(sample))).toBe(true);
    expect(ids.isAgentId(ids.agentIdOf(sample))).toBe(true);
  });
});

describe('an id argument', () => {
  test.each<[string, ids.IdArgument]>([
    ['last', { kind: 'last' }],
    ['LAST', { kind: 'last' }],
    [`inv_${sample}`, { kind: 'id', prefix: 'inv', ulid: sample as ids.Ulid }],
    [`FLT_${sample.toLowerCase()}`, { kind: 'id', prefix: 'flt', ulid: sample as ids.Ulid }],
    [sample, { kind: 'suffix', suffix: sample }],
    ['d9ef', { kind: 'suffix', suffix: 'D9EF' }],
    ['oil9', { kind: 'suffix', suffix: '0119' }],
  ])('%j is read', (text, expected) => {
    expect(ids.parseIdArgument(text)).toEqual(expected);
  });

  test.each([
    ['', /4 characters at least/],
    ['9ef', /4 characters at least/],
    [`${sample}0`, /26 characters at most/],
    ['d9eu', /without U/],
    ['d9 f', /digits and letters/],
    ['xyz_D9EF', /starts with one of inv_/],
    ['inv_D9EF', /all 26 characters/],
    ['é\u001b[2J', /digits and letters/],
  ])('%j is refused, saying why and what is accepted', (text, why) => {
    const error = caught(() => ids.parseIdArgument(text));
    expect(error.code).toBe('invalid');
    expect(error.message).toMatch(why);
    expect(error.message).not.toContain('\u001b');
    expect(error.hint).toMatch(/last 4 or more characters.*last$/);
  });

  test('any suffix of four or more characters is read as itself, in any case', () => {
    fc.assert(
      fc.property(ulids, fc.integer({ min: 4, max: 26 }), (ulid, length) => {
        const suffix = ulid.slice(-length);
        fc.pre(suffix !== 'LAST');
        expect(ids.parseIdArgument(suffix.toLowerCase())).toEqual({ kind: 'suffix', suffix });
      }),
    );
  });

  test('no text makes it throw anything but invalid', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(['ok', 'invalid']).toContain(codeOf(() => ids.parseIdArgument(text)));
      }),
    );
  });
});

describe('a node id', () => {
  test('is the base36 PeerId of any Ed25519 key and has 62 characters from k51', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        const id = ids.nodeIdOfPublicKey(key);
        expect(id).toMatch(/^k51[0-9a-z]{59}$/);
        expect(ids.isNodeId(id)).toBe(true);
        expect(ids.asNodeId(id)).toBe(id);
      }),
    );
  });

  test('published ids of Ed25519 keys are recognised', () => {
    expect(ids.isNodeId('k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8')).toBe(true);
  });

  test('the smallest and the greatest key are in, their neighbours are out', () => {
    const low = ids.nodeIdOfPublicKey(new Uint8Array(32));
    const high = ids.nodeIdOfPublicKey(new Uint8Array(32).fill(255));
    const step = (id: string, by: bigint): string => {
      let value = 0n;
      for (const digit of id.slice(1)) value = value * 36n + BigInt(Number.parseInt(digit, 36));
      return `k${(value + by).toString(36)}`;
    };
    expect([step(low, -1n), step(low, 1n), step(high, -1n), step(high, 1n)].map((id) => ids.isNodeId(id))).toEqual([false, true, true, false]);
  });

  test.each(['', 'k51', 'laptop', `k51${'a'.repeat(58)}`, 'K51QZI5UQU5DLVJ2BAXNQNDEPEB86CBK3NG7N3I46UZYXZYQJ2XJONZLLNV0V8'])('%j is none', (text) => {
    expect(ids.isNodeId(text)).toBe(false);
    expect(() => ids.asNodeId(text)).toThrow(/not a node id/);
  });

  test('a key of another length is refused', () => {
    expect(() => ids.nodeIdOfPublicKey(new Uint8Array(31))).toThrow(/32 bytes/);
  });
});

test('a mesh id is safe in a URI and a file name', () => {
  expect(ids.asMeshId('01J9Z6')).toBe('01J9Z6');
  for (const text of ['', '../x', 'a b', '-a', 'a'.repeat(129)]) expect(() => ids.asMeshId(text)).toThrow(/not a mesh id/);
});
