import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MeshId, NodeId } from '../../../src/domain/ids.ts';
import { allLinkedUpTo, awayEachWay, neighboursEachWay, neighboursOf, ringOrder } from '../../../src/mesh/link-choice.ts';

const mesh = 'a'.repeat(40) as MeshId;
const nodes = (count: number, from = 0): NodeId[] => Array.from({ length: count }, (_, index) => `k51node${from + index}` as NodeId);
const nobody = (): boolean => false;

function linksOf(members: readonly NodeId[], isAway: (nodeId: NodeId) => boolean = nobody, meshId = mesh): Map<NodeId, ReadonlySet<NodeId>> {
  return new Map(members.filter((each) => !isAway(each)).map((self) => [self, neighboursOf(ringOrder(meshId, self, members), isAway)]));
}

/** Rounds of telling until everybody has heard of what one knows; undefined when somebody never does. */
function roundsToAll(links: ReadonlyMap<NodeId, ReadonlySet<NodeId>>): number | undefined {
  const [first] = links.keys();
  const reached = new Set(first === undefined ? [] : [first]);
  for (let rounds = 0; ; rounds += 1) {
    if (reached.size === links.size) return rounds;
    const next = [...reached].flatMap((each) => [...(links.get(each) ?? [])]).filter((each) => links.has(each) && !reached.has(each));
    if (next.length === 0) return undefined;
    for (const each of next) reached.add(each);
  }
}

/** A mesh and who of it is away: a third at most. */
const thinned = fc
  .integer({ min: allLinkedUpTo + 2, max: 120 })
  .chain((size) => fc.tuple(fc.constant(nodes(size)), fc.subarray(nodes(size), { maxLength: Math.floor(size / 3) })))
  .map(([members, gone]) => {
    const away = new Set(gone);
    return { members, isAway: (nodeId: NodeId) => away.has(nodeId) };
  });

test('of a small mesh every pair has a session, also when the others are away', () => {
  for (const links of [linksOf(nodes(allLinkedUpTo + 1)), linksOf(nodes(2))]) for (const own of links.values()) expect(own.size).toBe(links.size - 1);
  const order = ringOrder(mesh, 'k51node0' as NodeId, nodes(allLinkedUpTo + 1));
  expect(neighboursOf(order, () => true).size).toBe(allLinkedUpTo);
});

describe('of a large mesh', () => {
  test('each node has a dozen sessions, and news reaches all over few of them', () => {
    const links = linksOf(nodes(100));
    for (const own of links.values()) expect(own.size).toBe(2 * neighboursEachWay);
    expect(roundsToAll(links)).toBeLessThanOrEqual(Math.ceil(50 / neighboursEachWay));
  });

  test('both ends name the same pairs, whoever is away', () => {
    fc.assert(
      fc.property(thinned, ({ members, isAway }) => {
        const links = linksOf(members, isAway);
        for (const [self, own] of links) for (const other of own) if (!isAway(other)) expect(links.get(other)?.has(self)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('while any third of the nodes is away the others are connected, with as many links that answer', () => {
    fc.assert(
      fc.property(thinned, ({ members, isAway }) => {
        const links = linksOf(members, isAway);
        expect(roundsToAll(links)).toBeDefined();
        const enough = Math.min(2 * neighboursEachWay, links.size - 1);
        for (const own of links.values()) expect([...own].filter((each) => !isAway(each)).length).toBeGreaterThanOrEqual(enough);
      }),
      { numRuns: 30 },
    );
  });

  test('however many are away, those that answer are connected, and few of the others are looked for', () => {
    const members = nodes(100);
    for (const answering of [1, 2, 5, 20]) {
      const isAway = (nodeId: NodeId): boolean => members.indexOf(nodeId) >= answering;
      const links = linksOf(members, isAway);
      expect(roundsToAll(links)).toBeDefined();
      for (const own of links.values()) expect([...own].filter(isAway).length).toBeLessThanOrEqual(2 * awayEachWay);
    }
  });

  test('one node more or less moves few links: those that it had, and one of each of its neighbours', () => {
    fc.assert(
      fc.property(fc.integer({ min: allLinkedUpTo + 2, max: 100 }), fc.integer({ min: 1000, max: 2000 }), (size, id) => {
        const newcomer = `k51node${id}` as NodeId;
        const [before, after] = [linksOf(nodes(size)), linksOf([...nodes(size), newcomer])];
        let lost = 0;
        for (const [self, own] of before) for (const other of own) if (after.get(self)?.has(other) !== true) lost += 1;
        // Counted at both ends.
        expect(lost / 2).toBeLessThanOrEqual((neighboursEachWay * (neighboursEachWay + 1)) / 2);
        expect(after.get(newcomer)?.size).toBe(2 * neighboursEachWay);
      }),
      { numRuns: 30 },
    );
  });

  test('another mesh has another order, so that no key has a place of its choice in all of them', () => {
    const other = linksOf(nodes(50), nobody, 'b'.repeat(40) as MeshId);
    const same = [...linksOf(nodes(50))].filter(([self, own]) => [...own].every((each) => other.get(self)?.has(each) === true));
    expect(same).toEqual([]);
  });
});
