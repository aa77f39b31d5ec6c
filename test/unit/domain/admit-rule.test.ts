import { describe, expect, test } from 'vitest';
import { flawOfRule, judgeApplicant } from '../../../src/domain/admit-rule.ts';
import type { AdmitRule, Question } from '../../../src/domain/admit-rule.ts';
import type { NodeId } from '../../../src/domain/ids.ts';

const node = 'k51node' as NodeId;
const cap = 'example.com/cap/beckon';
const ann: Question['identity'] = { user: 'ann@example.com', tags: [], capabilities: new Map() };
const bob: Question['identity'] = { ...ann, user: 'bob@example.com' };
const server: Question['identity'] = { tags: ['tag:web', 'tag:broker'], capabilities: new Map() };
const own = { user: 'ann@example.com', owner: 'ann' };
const judge = (identity: Question['identity'], rules: readonly AdmitRule[] = [], question: Partial<Question> = {}) => judgeApplicant({ identity, own, rules, ...question });
const rule = (kind: AdmitRule['kind'], value: string): AdmitRule => ({ kind, value });

describe('a machine that asks to enter by the word of the tailnet', () => {
  test('of the same user is let in at once, and belongs to whom the issuer belongs', () => {
    expect(judge(ann)).toEqual({ kind: 'admit', owner: 'ann' });
  });

  test('of another user waits, and with a rule belongs to that user', () => {
    expect(judge(bob)).toEqual({ kind: 'wait', why: 'it belongs to bob@example.com, and no rule admits that user' });
    expect(judge(bob, [rule('user', 'bob@example.com')])).toEqual({ kind: 'admit', owner: 'bob@example.com' });
    expect(judge(bob, [rule('user', 'bob')]).kind).toBe('wait');
  });

  test('that is tagged waits, whoever owns the issuer, and belongs to a tag, never to a person', () => {
    expect(judge(server)).toEqual({ kind: 'wait', why: 'it is tagged tag:web, tag:broker, and no rule admits that' });
    expect(judge(server, [rule('tag', 'tag:broker')])).toEqual({ kind: 'admit', owner: 'tag:broker' });
    expect(judge(server, [rule('tag', 'tag:web')])).toEqual({ kind: 'admit', owner: 'tag:web' });
    expect(judge(server, [rule('node', node)], { nodeId: node })).toEqual({ kind: 'admit', owner: 'tag:broker' });
    // What stands for the user of every tagged machine is nobody.
    expect(judge({ ...server, user: 'ann@example.com' })).toMatchObject({ kind: 'wait' });
    expect(judge({ ...server, user: 'tagged-devices' }, [rule('user', 'tagged-devices')])).toMatchObject({ kind: 'wait' });
  });

  test('is let in by name, or by a capability that the policy grants it here', () => {
    expect(judge(bob, [rule('node', node)], { nodeId: node })).toEqual({ kind: 'admit', owner: 'bob@example.com' });
    expect(judge(bob, [rule('node', node)]).kind).toBe('wait');
    expect(judge({ ...bob, capabilities: new Map([[cap, []]]) }, [rule('capability', cap)])).toEqual({ kind: 'admit', owner: 'bob@example.com' });
    expect(judge(bob, [rule('capability', cap)]).kind).toBe('wait');
  });

  test('at an issuer that is tagged itself nobody is the same user', () => {
    expect(judge(ann, [], { own: { owner: 'tag:broker' } }).kind).toBe('wait');
    expect(judge(server, [], { own: { owner: 'tag:broker' } }).kind).toBe('wait');
    // No user on either side is not the same user.
    expect(judge({ tags: [], capabilities: new Map() }, [], { own: { owner: 'x' } })).toEqual({ kind: 'wait', why: 'its tailnet knows no user of it' });
  });
});

test('a rule that can fit nothing is named', () => {
  expect([rule('tag', 'tag:server'), rule('user', 'ann@example.com'), rule('capability', cap), rule('node', node)].map(flawOfRule)).toEqual([undefined, undefined, undefined, undefined]);
  expect([rule('tag', 'server'), rule('user', ''), rule('user', 'a b'), rule('capability', 'beckon')].map(flawOfRule).filter((flaw) => flaw === undefined)).toEqual([]);
});
