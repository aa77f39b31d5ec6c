import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, rulesFor, verbs } from '../../../src/domain/policy.ts';
import type { PolicyCaller, Rule, Verb } from '../../../src/domain/policy.ts';
import type { Share } from '../../../src/domain/sharing.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [me, laptop, studio, server] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3), nodeIdFor(4)];
const callers = {
  'this node': { nodeId: me, name: 'desktop', owner: 'ada' },
  'ada’s laptop': { nodeId: laptop, name: 'laptop', owner: 'ada' },
  'bob’s studio': { nodeId: studio, name: 'studio', owner: 'bob' },
  'a tagged server': { nodeId: server, name: 'server', owner: 'tag:ci' },
} as const;
const verdict = (caller: PolicyCaller, verb: Verb, shares: readonly Share[]) => decide(caller, verb, rulesFor({ owner: 'ada', shares }));

describe('who may invoke', () => {
  const table: readonly [keyof typeof callers, readonly Share[], boolean, string][] = [
    ['this node', [], true, 'of the same owner, ada'],
    ['ada’s laptop', [], true, 'of the same owner, ada'],
    ['bob’s studio', [], false, 'no rule allows it'],
    ['a tagged server', [], false, 'no rule allows it'],
    ['bob’s studio', [{ with: 'all' }], true, 'shared with all members'],
    ['a tagged server', [{ with: 'all' }], true, 'shared with all members'],
    ['bob’s studio', [{ with: 'person', name: 'bob' }], true, 'shared with bob'],
    ['a tagged server', [{ with: 'person', name: 'bob' }], false, 'no rule allows it'],
    ['a tagged server', [{ with: 'person', name: 'tag:ci' }], true, 'shared with tag:ci'],
    ['bob’s studio', [{ with: 'person', name: 'Bob' }], false, 'no rule allows it'],
    // A node that calls itself as a person is called is not that person.
    ['bob’s studio', [{ with: 'person', name: 'studio' }], false, 'no rule allows it'],
    ['bob’s studio', [{ with: 'node', nodeId: studio }], true, `shared with the node ${studio}`],
    ['a tagged server', [{ with: 'node', nodeId: studio }], false, 'no rule allows it'],
    ['bob’s studio', [{ with: 'node', nodeId: server }, { with: 'person', name: 'bob' }], true, 'shared with bob'],
  ];
  test.each(table)('%s, with %j: %s by %s', (who, shares, isAllowed, rule) => {
    expect(verdict(callers[who], 'invoke', shares)).toEqual({ isAllowed, rule });
  });
});

test.each(['control', 'inspect'] as const)('sharing with everybody opens %s to nobody', (verb) => {
  const shares: Share[] = [{ with: 'all' }, { with: 'person', name: 'bob' }, { with: 'node', nodeId: studio }];
  expect(verdict(callers['bob’s studio'], verb, shares).isAllowed).toBe(false);
  expect(verdict(callers['ada’s laptop'], verb, shares).isAllowed).toBe(true);
});

const person = fc.constantFrom('ada', 'bob', 'carol', 'tag:ci');
const node = fc.constantFrom(me, laptop, studio, server);
const caller = fc.record({ nodeId: node, name: fc.constantFrom('desktop', 'studio'), owner: person });
const share: fc.Arbitrary<Share> = fc.oneof(
  fc.constant<Share>({ with: 'all' }),
  person.map((name): Share => ({ with: 'person', name })),
  node.map((nodeId): Share => ({ with: 'node', nodeId })),
);
const rule: fc.Arbitrary<Rule> = fc
  .record({ effect: fc.constantFrom('allow' as const, 'deny' as const), verbs: fc.subarray([...verbs]), owners: fc.subarray(['ada', 'bob', 'carol', 'tag:ci']) })
  .map(({ owners, ...rest }) => ({ ...rest, words: `${rest.effect} ${owners.join()}`, covers: (each: PolicyCaller) => owners.includes(each.owner) }));

test('nothing is allowed that no rule allows, and nothing that one rule denies', () => {
  fc.assert(
    fc.property(caller, fc.constantFrom(...verbs), fc.array(rule, { maxLength: 8 }), (who, verb, rules) => {
      const that = rules.filter((each) => each.verbs.includes(verb) && each.covers(who));
      const allowed = that.some(({ effect }) => effect === 'allow') && !that.some(({ effect }) => effect === 'deny');
      expect(decide(who, verb, rules).isAllowed).toBe(allowed);
      expect(decide(who, verb, rules.toReversed()).isAllowed).toBe(allowed);
    }),
  );
});

test('another person may invoke exactly what is shared with them, their node or all, and nothing else', () => {
  fc.assert(
    fc.property(caller, fc.constantFrom(...verbs), fc.array(share, { maxLength: 5 }), (who, verb, shares) => {
      const isOwn = who.owner === 'ada';
      const isShared = shares.some((each) => each.with === 'all' || (each.with === 'person' ? each.name === who.owner : each.nodeId === who.nodeId));
      expect(verdict(who, verb, shares).isAllowed).toBe(isOwn || (verb === 'invoke' && isShared));
    }),
  );
});
