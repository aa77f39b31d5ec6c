import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/domain/address.ts';
import { parseAgentPattern } from '../../../src/domain/agent-pattern.ts';
import type { PatternTarget } from '../../../src/domain/agent-pattern.ts';
import { parseCaller, textOfCaller } from '../../../src/domain/policy-caller.ts';
import type { TailnetStanding } from '../../../src/domain/policy-caller.ts';
import { decide, ownRule, rulesOfShares, verbs } from '../../../src/domain/policy.ts';
import type { PolicyCaller, Question, Rule, Verb } from '../../../src/domain/policy.ts';
import type { Share } from '../../../src/domain/sharing.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [me, laptop, studio, server, second] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3), nodeIdFor(4), nodeIdFor(5)];
/** All of ada's desktop, which decides. */
const callers = {
  'her laptop': { nodeId: laptop, name: 'laptop', owner: 'ada' },
  'bob’s studio': { nodeId: studio, name: 'studio', owner: 'bob' },
  'a tagged server': { nodeId: server, name: 'server', owner: 'tag:ci' },
  // Certified under a name that somebody else holds.
  'carol’s other studio': { nodeId: second, name: 'studio', owner: 'carol' },
  'Bob, in capitals': { nodeId: second, name: 'tower', owner: 'Bob' },
  'bob in Cyrillic': { nodeId: second, name: 'tower', owner: 'bоb' },
  'a person called as a tag is': { nodeId: second, name: 'tower', owner: 'ci' },
  'a person called studio': { nodeId: second, name: 'tower', owner: 'studio' },
  'one without an owner': { nodeId: second, name: 'tower', owner: '' },
} as const satisfies Record<string, PolicyCaller>;
type Who = keyof typeof callers;

const holders: Readonly<Record<string, PolicyCaller['nodeId']>> = { desktop: me, laptop, studio, server, tower: second };
const known = (tags: readonly string[], ...capabilities: string[]): TailnetStanding => ({ kind: 'known', tags, capabilities: new Set(capabilities) });
const cap = 'example.com/cap/deployers';
const capable = known([], cap);
const tagged = known(['tag:deploy', 'tag:web']);
const unknown: TailnetStanding = { kind: 'unknown', why: 'tailscaled does not answer' };

const target = (address: string): PatternTarget => {
  const { agent, node = 'desktop', workspace = 'main' } = parseAddress(address);
  return { agent, node, workspace, nodeId: node === 'desktop' ? me : server };
};

let count = 0;
const rule = (effect: Rule['effect']) => (from: string, these: string, agents?: string): Rule => {
  count += 1;
  return {
    effect,
    verbs: these.split(' ') as Verb[],
    from: from.split(' ').map(parseCaller),
    ...(agents === undefined ? {} : { agents: agents.split(' ').map(parseAgentPattern) }),
    source: { kind: 'file', where: `policy.toml:${count}:1` },
  };
};
const [allow, deny] = [rule('allow'), rule('deny')];
const shared = (...shares: Share[]): readonly Rule[] => rulesOfShares('@deploy@desktop#main', shares);

const ask = (who: PolicyCaller, verb: Verb, address: string | undefined, rules: readonly Rule[], tailnet?: TailnetStanding): Question & { readonly rules: readonly Rule[] } => ({
  caller: who,
  verb,
  target: address === undefined ? undefined : target(address),
  tailnet,
  holderOf: (name) => holders[name],
  rules,
});

/** Rules beside the default; who; verb; agent, or nothing for the whole node; what the tailnet says; the verdict, and by which rule: its number, the default, or none. */
type Row = readonly [readonly Rule[], Who, Verb, string | undefined, TailnetStanding | undefined, 'allowed' | 'denied', number | 'default' | 'none'];

const table: readonly Row[] = [
  // Without a rule: the same owner identity all, nobody else anything.
  [[], 'her laptop', 'invoke', 'deploy', undefined, 'allowed', 'default'],
  [[], 'her laptop', 'control', 'deploy', undefined, 'allowed', 'default'],
  [[], 'her laptop', 'inspect', undefined, undefined, 'allowed', 'default'],
  [[], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[], 'bob’s studio', 'control', 'deploy', undefined, 'denied', 'none'],
  [[], 'bob’s studio', 'inspect', undefined, undefined, 'denied', 'none'],
  [[], 'a tagged server', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[], 'one without an owner', 'invoke', 'deploy', undefined, 'denied', 'none'],
  // Tags and capabilities make nobody the owner.
  [[], 'bob’s studio', 'invoke', 'deploy', capable, 'denied', 'none'],
  [[], 'bob’s studio', 'invoke', 'deploy', tagged, 'denied', 'none'],
  // Persons, letter by letter.
  [[allow('person:bob', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke')], 'bob’s studio', 'control', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke')], 'bob’s studio', 'inspect', undefined, undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke')], 'Bob, in capitals', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke')], 'bob in Cyrillic', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:studio', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:studio', 'invoke')], 'a person called studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('person:ada', 'invoke')], 'one without an owner', 'invoke', 'deploy', undefined, 'denied', 'none'],
  // Nodes: whoever holds the name, or the id.
  [[allow('node:studio', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('node:studio', 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('node:studio', 'invoke')], 'a person called studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('node:Studio', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('node:nobody', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow(`node:${second}`, 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow(`node:${second}`, 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow(`node:${studio}`, 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  // Tags: by the certificate, or by the tailnet.
  [[allow('tag:ci', 'invoke')], 'a tagged server', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('tag:ci', 'invoke')], 'a person called as a tag is', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('tag:deploy', 'invoke')], 'a tagged server', 'invoke', 'deploy', tagged, 'allowed', 0],
  [[allow('tag:deploy', 'invoke')], 'bob’s studio', 'invoke', 'deploy', tagged, 'allowed', 0],
  [[allow('tag:deploy', 'invoke')], 'bob’s studio', 'invoke', 'deploy', capable, 'denied', 'none'],
  [[allow('tag:dep', 'invoke')], 'bob’s studio', 'invoke', 'deploy', tagged, 'denied', 'none'],
  [[allow('tag:deploy', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('tag:deploy', 'invoke')], 'bob’s studio', 'invoke', 'deploy', unknown, 'denied', 'none'],
  // Capabilities.
  [[allow(`cap:${cap}`, 'invoke')], 'bob’s studio', 'invoke', 'deploy', capable, 'allowed', 0],
  [[allow(`cap:${cap}`, 'invoke')], 'bob’s studio', 'invoke', 'deploy', known([], `${cap}s`), 'denied', 'none'],
  [[allow(`cap:${cap}`, 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow(`cap:${cap}`, 'invoke')], 'bob’s studio', 'invoke', 'deploy', unknown, 'denied', 'none'],
  [[allow(`cap:${cap}`, 'inspect')], 'bob’s studio', 'inspect', undefined, capable, 'allowed', 0],
  // All, and several.
  [[allow('*', 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('*', 'invoke')], 'one without an owner', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('*', 'invoke')], 'bob’s studio', 'control', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:carol node:studio', 'invoke control')], 'bob’s studio', 'control', 'deploy', undefined, 'allowed', 0],
  // Agents.
  [[allow('person:bob', 'invoke', 'deploy')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke', 'deploy')], 'bob’s studio', 'invoke', 'deployer', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke', 'deploy*')], 'bob’s studio', 'invoke', 'deployer', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke', 'deploy/main')], 'bob’s studio', 'invoke', '@deploy@desktop#Main', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke', 'deploy/release/*')], 'bob’s studio', 'invoke', '@deploy@desktop#release/1/2', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke', 'deploy/release/*')], 'bob’s studio', 'invoke', '@deploy@desktop#releases/1', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke', 'deploy@desktop')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke', 'deploy@laptop')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [[allow('person:bob', 'invoke', `deploy@${me}`)], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [[allow('person:bob', 'invoke', 'review deploy')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  // The whole node: some agents do not open it, and one closes it.
  [[allow('person:bob', 'inspect')], 'bob’s studio', 'inspect', undefined, undefined, 'allowed', 0],
  [[allow('person:bob', 'inspect', 'deploy')], 'bob’s studio', 'inspect', undefined, undefined, 'denied', 'none'],
  [[allow('person:bob', 'inspect', 'deploy')], 'bob’s studio', 'inspect', 'deploy', undefined, 'allowed', 0],
  [[allow('person:bob', 'inspect'), deny('person:bob', 'inspect', 'secret')], 'bob’s studio', 'inspect', undefined, undefined, 'denied', 1],
  [[allow('person:bob', 'inspect'), deny('person:bob', 'inspect', 'secret')], 'bob’s studio', 'inspect', 'deploy', undefined, 'allowed', 0],
  // A denial wins: over a rule, over the default, over a share.
  [[allow('person:bob', 'invoke'), deny('person:bob', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 1],
  [[deny('person:bob', 'invoke'), allow('person:bob', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 0],
  [[deny('*', 'invoke', 'deploy'), allow('*', 'invoke')], 'bob’s studio', 'invoke', 'review', undefined, 'allowed', 1],
  [[deny('node:laptop', 'invoke')], 'her laptop', 'invoke', 'deploy', undefined, 'denied', 0],
  [[deny('node:laptop', 'invoke')], 'her laptop', 'inspect', undefined, undefined, 'allowed', 'default'],
  [[deny('*', 'invoke control inspect')], 'her laptop', 'control', 'deploy', undefined, 'denied', 0],
  [[deny('node:studio', 'invoke'), allow('*', 'invoke')], 'carol’s other studio', 'invoke', 'deploy', undefined, 'allowed', 1],
  [[deny(`cap:${cap}`, 'invoke'), allow('*', 'invoke')], 'bob’s studio', 'invoke', 'deploy', capable, 'denied', 0],
  [[deny(`cap:${cap}`, 'invoke'), allow('*', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 1],
  // What can't be asked may be what is denied.
  [[deny(`cap:${cap}`, 'invoke'), allow('*', 'invoke')], 'bob’s studio', 'invoke', 'deploy', unknown, 'denied', 0],
  [[deny('tag:deploy', 'invoke'), allow('*', 'invoke')], 'bob’s studio', 'invoke', 'deploy', unknown, 'denied', 0],
  [[deny('tag:ci', 'invoke'), allow('*', 'invoke')], 'a tagged server', 'invoke', 'deploy', undefined, 'denied', 0],
  // Shares are rules as others are.
  [shared({ with: 'all' }), 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [shared({ with: 'all' }), 'bob’s studio', 'control', 'deploy', undefined, 'denied', 'none'],
  [shared({ with: 'person', name: 'bob' }), 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [shared({ with: 'person', name: 'studio' }), 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 'none'],
  [shared({ with: 'person', name: 'tag:deploy' }), 'bob’s studio', 'invoke', 'deploy', tagged, 'denied', 'none'],
  [shared({ with: 'node', nodeId: studio }), 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 0],
  [shared({ with: 'node', nodeId: server }, { with: 'person', name: 'bob' }), 'bob’s studio', 'invoke', 'deploy', undefined, 'allowed', 1],
  [[...shared({ with: 'all' }), deny('person:bob', 'invoke')], 'bob’s studio', 'invoke', 'deploy', undefined, 'denied', 1],
];

describe('of ada’s desktop', () => {
  const named = table.map((row): readonly [string, Row] => {
    const [rules, who, verb, address = 'the whole node', tailnet, verdict, by] = row;
    const words = rules.map(({ effect, from, verbs: these, agents }) => `${effect} ${from.map(textOfCaller).join(' ')} ${these.join(' ')} ${agents?.map(({ text }) => text).join(' ') ?? ''}`.trim());
    return [`${who} ${verb} ${address}, ${tailnet?.kind ?? 'outside of the tailnet'} [${words.join('; ')}]: ${verdict} by ${by}`, row];
  });
  test('the table has 60 cases and more', () => expect(table.length).toBeGreaterThanOrEqual(60));
  test.each(named)('%s', (_name, [rules, who, verb, address, tailnet, verdict, by]) => {
    const own = ownRule('ada');
    const { rules: all, ...question } = ask(callers[who], verb, address, [own, ...rules], tailnet);
    const expected = by === 'none' ? undefined : by === 'default' ? own : rules[by];
    const found = decide(question, all);
    expect([found.isAllowed ? 'allowed' : 'denied', found.rule]).toEqual([verdict, expected]);
    // In any other order the verdict is the same.
    expect(decide(question, all.toReversed()).isAllowed).toBe(found.isAllowed);
  });
});

test('a node of a tag gives its tag’s machines all by their certificates, and nobody by what the tailnet calls them', () => {
  const judged = (who: PolicyCaller): boolean => decide(ask(who, 'invoke', 'deploy', [], known(['tag:ci'])), [ownRule('tag:ci')]).isAllowed;
  expect([judged(callers['a tagged server']), judged(callers['bob’s studio'])]).toEqual([true, false]);
});

describe('whatever the rules', () => {
  const caller = fc.constantFrom(...Object.values(callers));
  const standing = fc.constantFrom(undefined, capable, tagged, unknown, known([]));
  const address = fc.constantFrom(undefined, 'deploy', 'review', '@deploy@desktop#release/1', '@deploy@server#main');
  const pattern = fc.constantFrom('*', 'person:bob', 'person:ada', 'node:studio', `node:${second}`, 'tag:ci', 'tag:deploy', `cap:${cap}`);
  const some = fc.record({
    effect: fc.constantFrom('allow' as const, 'deny' as const),
    from: fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
    these: fc.subarray([...verbs], { minLength: 1 }),
    agents: fc.option(fc.uniqueArray(fc.constantFrom('*', 'deploy', 'rev*', 'deploy@desktop', 'deploy/release/*'), { minLength: 1 }), { nil: undefined }),
  }).map(({ effect, from, these, agents }) => rule(effect)(from.join(' '), these.join(' '), agents?.join(' ')));
  const asked = fc.record({ who: caller, verb: fc.constantFrom(...verbs), of: address, tailnet: standing, rules: fc.array(some, { maxLength: 8 }) });

  test('their order changes nothing', () => {
    fc.assert(
      fc.property(asked, fc.infiniteStream(fc.nat()), ({ who, verb, of, tailnet, rules }, keys) => {
        const shuffled = rules.map((each) => [keys.next().value as number, each] as const).toSorted(([a], [b]) => a - b).map(([, each]) => each);
        const question = ask(who, verb, of, rules, tailnet);
        expect(decide(question, shuffled).isAllowed).toBe(decide(question, rules).isAllowed);
      }),
    );
  });

  test('one more that allows takes nothing away, and one more that denies gives nothing', () => {
    fc.assert(
      fc.property(asked, some, fc.nat(8), ({ who, verb, of, tailnet, rules }, more, at) => {
        const question = ask(who, verb, of, rules, tailnet);
        const [before, after] = [decide(question, rules).isAllowed, decide(question, rules.toSpliced(at, 0, more)).isAllowed];
        expect(more.effect === 'allow' ? after || !before : before || !after).toBe(true);
      }),
    );
  });

  test('a verdict is made by a rule that is there and says so, or, if it is a denial, by none', () => {
    fc.assert(
      fc.property(asked, ({ who, verb, of, tailnet, rules }) => {
        const question = ask(who, verb, of, rules, tailnet);
        const { isAllowed, rule: by } = decide(question, rules);
        if (by === undefined) expect(isAllowed).toBe(false);
        else {
          expect(rules).toContain(by);
          expect([by.effect, by.verbs.includes(verb)]).toEqual([isAllowed ? 'allow' : 'deny', true]);
          // It alone makes the same verdict.
          expect(decide(question, [by])).toEqual({ isAllowed, rule: by });
        }
      }),
    );
  });

  test('what is not known of a caller never gives it anything that it would not have without', () => {
    fc.assert(
      fc.property(asked, ({ who, verb, of, rules }) => {
        const allowed = (tailnet: TailnetStanding | undefined): boolean => decide(ask(who, verb, of, rules, tailnet), rules).isAllowed;
        if (allowed(unknown)) expect([undefined, capable, tagged, known([])].every(allowed)).toBe(true);
      }),
    );
  });
});
