import { expect, test } from 'vitest';
import { mayControl, mayInspect, Policy } from '../../../src/broker/policy.ts';
import type { PolicyParts } from '../../../src/broker/policy.ts';
import type { PolicyCaller } from '../../../src/domain/policy.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { Share } from '../../../src/domain/sharing.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [me, theirs] = [nodeIdFor(1), nodeIdFor(2)];
const target = '@fabric@desktop#main';
const self = { nodeId: me, owner: () => 'ada' };
const from = (owner: string, nodeId = theirs): PolicyCaller => ({ nodeId, owner, name: 'studio' });

function policyWith(shares: readonly Share[], members: Readonly<Record<string, { name: string; owner: string }>> = {}): Policy {
  const read = { shares: (address: string) => (address === target ? shares : []), member: (id: string) => members[id] };
  return new Policy({ store: { read }, self } as unknown as PolicyParts);
}

test('only nodes of the same owner may invoke what is not shared', () => {
  const policy = policyWith([]);
  expect(policy.refusalOf(from('ada'), target)).toBeUndefined();
  for (const owner of ['bob', 'Ada', 'ada ', '', 'tag:ada']) {
    const refusal = policy.refusalOf(from(owner), target);
    expect(refusal?.code).toBe('denied');
    expect(refusal?.message).toContain(target);
  }
});

test('a refusal says what its owner can do, in a command that a shell takes', () => {
  const refusal = policyWith([]).refusalOf(from("o'neil & sons"), target);
  expect(refusal?.hint).toBe(String.raw`its owner can allow it: on desktop: beckon agent share fabric@desktop/main --with 'o'\''neil & sons'`);
});

test('sharing opens one agent and no other', () => {
  const policy = policyWith([{ with: 'person', name: 'bob' }]);
  expect(policy.refusalOf(from('bob'), target)).toBeUndefined();
  expect(policy.refusalOf(from('bob'), '@review@desktop#main')?.code).toBe('denied');
});

test('queued work has the right of the owner identity that its link had shown', () => {
  const policy = policyWith([{ with: 'person', name: 'bob' }], { [theirs]: { name: 'studio', owner: 'bob' } });
  const queued = (changes: Partial<Flight>): Flight => ({ originNodeId: theirs, target, ...changes }) as Flight;
  expect(policy.refusalOfQueued(queued({ originOwner: 'bob' }))).toBeUndefined();
  expect(policy.refusalOfQueued(queued({ originOwner: 'carol' }))?.code).toBe('denied');
  expect(policy.refusalOfQueued(queued({ originNodeId: me }))).toBeUndefined();
  // Taken in by a version that did not keep it.
  expect(policy.refusalOfQueued(queued({}))).toBeUndefined();
  expect(policyWith([{ with: 'person', name: 'bob' }]).refusalOfQueued(queued({}))?.code).toBe('denied');
});

test('only nodes of the same owner may inspect, and answer', () => {
  expect(mayInspect(from('ada'), self)).toBeUndefined();
  expect(mayInspect(from('bob'), self)?.code).toBe('denied');
  expect(mayControl(from('ada'), self)).toBeUndefined();
  expect(mayControl(from('bob'), self)?.code).toBe('denied');
});
