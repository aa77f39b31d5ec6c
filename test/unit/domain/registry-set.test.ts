import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RegistryHead } from '../../../src/domain/registration.ts';
import { changeOf, rootHash, shortOf, supersedes } from '../../../src/domain/registry-set.ts';
import type { Hash, KnownHead } from '../../../src/domain/registry-set.ts';
import { nodeIdFor, utf8 } from '../../support/temp-store.ts';

const hash: Hash = (content) => createHash('sha256').update(content).digest('hex');
const hashes = fc.uniqueArray(fc.nat({ max: 20 }).map((number) => hash(String(number))), { maxLength: 12 });
const headOver = (set: readonly string[]) => ({ count: set.length, rootHash: rootHash(set, hash) });

describe('a set told as a difference', () => {
  test('becomes the set of the head wherever the one before it is, and says what is new and what is gone', () => {
    fc.assert(
      fc.property(hashes, hashes, fc.boolean(), (before, after, isRepeated) => {
        const told = after.filter((each) => isRepeated || !before.includes(each));
        const gone = before.filter((each) => !after.includes(each)).map(shortOf);
        const change = changeOf(new Set(before), { told: [...told, ...told], gone }, headOver(after), hash);
        expect(change?.added.toSorted()).toEqual(after.filter((each) => !before.includes(each)).toSorted());
        expect(change?.removed.toSorted()).toEqual(before.filter((each) => !after.includes(each)).toSorted());
      }),
    );
  });

  test('is refused where another set is', () => {
    fc.assert(
      fc.property(hashes, hashes, hashes, (base, after, have) => {
        const told = after.filter((each) => !base.includes(each));
        const gone = base.filter((each) => !after.includes(each)).map(shortOf);
        const result = new Set([...have.filter((each) => !gone.includes(shortOf(each))), ...told]);
        const isTheSame = result.size === after.length && after.every((each) => result.has(each));
        expect(changeOf(new Set(have), { told, gone }, headOver(after), hash) !== undefined).toBe(isTheSame);
      }),
    );
  });
});

describe('of two heads of one node', () => {
  const head = fc.record({ epoch: fc.nat({ max: 3 }), version: fc.nat({ max: 3 }), payload: fc.constantFrom('a', 'b') }).map(
    ({ epoch, version, payload }): KnownHead => ({
      head: { nodeId: nodeIdFor(1), epoch, version, count: 0, rootHash: '', addresses: [], gossipAddresses: [] } satisfies RegistryHead,
      signed: { payload: utf8(payload), signature: utf8('s') },
      hash: hash(`${epoch}.${version}.${payload}`),
    }),
  );

  test('one counts, the same at every node and in whatever order they come', () => {
    fc.assert(
      fc.property(head, head, head, (a, b, c) => {
        expect(supersedes(a, undefined)).toBe(true);
        expect(supersedes(a, a)).toBe(false);
        if (a.hash !== b.hash) expect(supersedes(a, b)).toBe(!supersedes(b, a));
        if (supersedes(a, b) && supersedes(b, c)) expect(supersedes(a, c)).toBe(true);
      }),
    );
  });

  test('it is the later epoch, then the later version', () => {
    fc.assert(
      fc.property(head, head, (a, b) => {
        if (a.head.epoch > b.head.epoch || (a.head.epoch === b.head.epoch && a.head.version > b.head.version)) expect(supersedes(a, b)).toBe(true);
      }),
    );
  });
});
