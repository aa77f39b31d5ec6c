import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemDigest } from '../../../src/app/system-digest.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import { bucketCount, differing, RegistryDigest } from '../../../src/domain/registry-digest.ts';
import type { DigestEntry } from '../../../src/domain/registry-digest.ts';
import { nodeIdFor, utf8 } from '../../support/temp-store.ts';

const bytes = fc.constantFrom('', 'a', 'b', 'ab').map(utf8);
const entry: fc.Arbitrary<DigestEntry> = fc
  .record({ number: fc.nat({ max: 12 }), leaf: bytes, head: bytes, departure: bytes, revocation: bytes }, { requiredKeys: ['number'] })
  .map(({ number, ...rest }) => ({ nodeId: nodeIdFor(number), ...rest }));
const step = fc.oneof({ weight: 3, arbitrary: entry }, { weight: 1, arbitrary: fc.nat({ max: 12 }).map(nodeIdFor) });

const digestOf = (entries: Iterable<DigestEntry>): RegistryDigest => {
  const digest = new RegistryDigest(systemDigest);
  for (const each of entries) digest.set(each);
  return digest;
};

describe('the digest of a registry', () => {
  test('depends on what is known now alone, in whatever order it came and was asked for', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(fc.boolean()), (steps, asked) => {
        const kept = new RegistryDigest(systemDigest);
        const now = new Map<NodeId, DigestEntry>();
        for (const each of steps) {
          if (typeof each === 'string') {
            kept.delete(each);
            now.delete(each);
          } else {
            kept.set(each);
            now.set(each.nodeId, each);
          }
          if (asked.next().value) expect(kept.root).toHaveLength(16);
        }
        const fresh = digestOf([...now.values()].toReversed());
        expect(kept.root).toBe(fresh.root);
        expect(kept.buckets()).toEqual(fresh.buckets());
        expect(kept.nodesIn(Array.from({ length: bucketCount }, (_, number) => number))).toEqual([...now.keys()].toSorted());
      }),
    );
  });

  test('differs where one node differs, and only in its bucket', () => {
    const all = Array.from({ length: 50 }, (_, number): DigestEntry => ({ nodeId: nodeIdFor(number), leaf: utf8('leaf'), head: utf8('head') }));
    const [one, other] = [digestOf(all), digestOf(all)];
    expect(one.root).toBe(other.root);
    other.set({ nodeId: nodeIdFor(7), leaf: utf8('leaf'), head: utf8('newer') });
    expect(one.root).not.toBe(other.root);
    const numbers = differing(one.buckets(), other.buckets());
    expect(numbers).toEqual([one.bucketOf(nodeIdFor(7))]);
    expect(one.nodesIn(numbers)).toContain(nodeIdFor(7));
    expect(numbers.every((number) => number >= 0 && number < bucketCount)).toBe(true);
  });

  test('tells apart what stands in one place from what stands in another', () => {
    const nodeId = nodeIdFor(1);
    const roots = [{ leaf: utf8('x') }, { head: utf8('x') }, { departure: utf8('x') }, {}].map((each) => digestOf([{ nodeId, ...each }]).root);
    expect(new Set([...roots, digestOf([{ nodeId, revocation: utf8('out') }]).root, digestOf([]).root]).size).toBe(6);
  });

  test('is the same for two that heard different last heads of one that left, or other words on one that was removed', () => {
    const nodeId = nodeIdFor(1);
    const left = (head: string) => digestOf([{ nodeId, leaf: utf8('leaf'), departure: utf8('bye'), head: utf8(head) }]).root;
    expect(left('a')).toBe(left('b'));
    const removed = (leaf: string) => digestOf([{ nodeId, leaf: utf8(leaf), head: utf8(leaf), revocation: utf8('out') }]).root;
    expect(removed('a')).toBe(removed('b'));
  });
});
