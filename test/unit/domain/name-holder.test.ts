import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { nameHolders } from '../../../src/domain/name-holder.ts';

const node = (nodeId: string, notBeforeMs: number, name = 'studio') => ({ nodeId: nodeId as NodeId, name, notBeforeMs });

test('the earlier certificate keeps a name; of equally early ones the lower node id does', () => {
  expect(nameHolders([node('b', 2), node('a', 3), node('c', 2)]).get('studio')).toBe('b');
  expect([...nameHolders([node('b', 2), node('a', 3, 'laptop')])]).toEqual([['studio', 'b'], ['laptop', 'a']]);
});

test('all nodes agree, in whatever order they learned of the members', () => {
  const members = fc.uniqueArray(fc.record({ nodeId: fc.constantFrom('a', 'b', 'c', 'd', 'e'), notBeforeMs: fc.nat(3) }), { selector: ({ nodeId }) => nodeId, minLength: 1 });
  fc.assert(fc.property(members.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))), ([one, other]) => {
    const holder = (all: typeof one) => nameHolders(all.map((each) => node(each.nodeId, each.notBeforeMs))).get('studio');
    expect(holder(one)).toBe(holder(other));
  }));
});
