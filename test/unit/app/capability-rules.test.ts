import { describe, expect, test } from 'vitest';
import { policyCapability, rulesOfCapability } from '../../../src/app/capability-rules.ts';
import { verbs } from '../../../src/domain/policy.ts';

const rulesOf = (...values: readonly unknown[]) => rulesOfCapability({ name: 'studio', capabilities: new Map([[policyCapability, values], ['example.com/cap/other', ['x']]]) });
const source = { kind: 'capability', name: policyCapability, of: 'studio' };

test('values are rules as the file has them, about whom they were granted to', () => {
  expect(rulesOf({ allow: [{ agents: ['deploy'], verbs: ['invoke'] }] }, { deny: [{ from: ['node:studio'], verbs: ['control'] }] })).toEqual([
    { effect: 'allow', verbs: ['invoke'], from: [{ kind: 'all' }], agents: [{ text: 'deploy', agent: 'deploy' }], source },
    { effect: 'deny', verbs: ['control'], from: [{ kind: 'node', name: 'studio' }], source },
  ]);
  expect([rulesOf(), rulesOf({}), rulesOfCapability({ name: 'studio', capabilities: new Map() })]).toEqual([[], [], []]);
});

describe('a value that can not be understood denies everything, with the reason', () => {
  test.each([
    [null, 'value 1: must be a table, and is missing'],
    ['allow', 'value 1: must be a table, and is a text'],
    [[], 'value 1: must be a table, and is a list'],
    [{ alow: [] }, 'value 1: unknown key "alow"'],
    [{ deny: [{ verbs: ['inovke'] }] }, 'value 1: deny[0].verbs[0]: must be one of invoke, control, inspect'],
    [{ deny: [{ agents: ['a b'], verbs: ['invoke'] }] }, 'value 1: deny[0].agents[0]: "a b" is no pattern'],
    [{ deny: { verbs: ['invoke'] } }, 'value 1: deny: must be a list, and is a table'],
  ])('%j', (value, why) => {
    const rules = rulesOf(value, { allow: [{ verbs: ['invoke'] }] });
    expect(rules[0]).toMatchObject({ effect: 'deny', verbs, from: [{ kind: 'all' }], source, flaw: expect.stringContaining(why) });
    expect(rules).toHaveLength(2);
  });

  test('and so do more values than there may be', () => expect(rulesOf(...Array.from({ length: 101 }, () => ({})))).toMatchObject([{ effect: 'deny', flaw: 'it has 101 values, more than 100' }]));
});
