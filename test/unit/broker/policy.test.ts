import { describe, expect, test } from 'vitest';
import { Policy } from '../../../src/broker/policy.ts';
import type { Denial, PolicyParts } from '../../../src/broker/policy.ts';
import { parsePolicyFile } from '../../../src/app/policy-file.ts';
import type { CallerStanding } from '../../../src/domain/policy-port.ts';
import type { PolicyCaller } from '../../../src/domain/policy.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { Share } from '../../../src/domain/sharing.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [me, theirs, other] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const target = '@fabric@desktop#main';
const from = (owner: string, nodeId = theirs): PolicyCaller => ({ nodeId, owner, name: 'studio' });
const known: CallerStanding = { tailnet: { kind: 'known', tags: [], capabilities: new Set(['example.com/cap/x']) }, rules: [] };
const unknown: CallerStanding = { tailnet: { kind: 'unknown', why: 'not heard of' }, rules: [] };

interface Given {
  readonly shares?: readonly Share[];
  readonly file?: string;
  readonly standing?: () => CallerStanding;
  /** Of the name studio, the one certified first first. */
  readonly studios?: readonly (typeof theirs)[];
}

function policyWith({ shares = [], file = '', standing = () => ({ tailnet: { kind: 'none', why: '' }, rules: [] }), studios = [theirs] }: Given = {}) {
  const reads: string[] = [];
  const denials: Denial[] = [];
  const { rules, flaws } = parsePolicyFile(file, '/etc/policy.toml');
  expect(flaws).toEqual([]);
  let revision = 0;
  let named = studios;
  const read = {
    shares: (address: string) => (reads.push('shares'), address === target ? shares : []),
    member: (id: string) => (id === theirs ? { nodeId: theirs, name: 'studio', owner: 'bob' } : undefined),
    membersNamed: (name: string) => (reads.push('members'), name === 'studio' ? named.map((nodeId, index) => ({ nodeId, name, notBeforeMs: index })) : []),
  };
  const parts = {
    store: { read },
    self: { nodeId: me, owner: () => 'ada', name: () => 'desktop', namedSinceMs: () => 0 },
    file: { rules, onChange: () => undefined, view: () => Promise.reject(new Error('not asked for')) },
    standings: { standingOf: standing, settled: () => undefined, onChange: () => undefined },
    membersRevision: () => revision,
    onDenied: (denial: Denial) => denials.push(denial),
  } as unknown as PolicyParts;
  const rename = (to: readonly (typeof theirs)[]): void => {
    named = to;
    revision += 1;
  };
  return { policy: new Policy(parts), reads, denials, rename };
}

const queued = (changes: Partial<Flight> = {}): Flight => ({ originNodeId: theirs, target, originOwner: 'bob', ...changes }) as Flight;

test('only nodes of the same owner may invoke what is not shared', () => {
  const { policy } = policyWith();
  expect(policy.refusalOf(from('ada'), target)).toBeUndefined();
  for (const owner of ['bob', 'Ada', 'ada ', '', 'tag:ada']) {
    const refusal = policy.refusalOf(from(owner), target);
    expect(refusal?.code).toBe('denied');
    expect(refusal?.message).toContain(target);
  }
});

test('only nodes of the same owner may inspect, and answer', async () => {
  const { policy } = policyWith({ shares: [{ with: 'all' }] });
  for (const verb of ['inspect', 'control'] as const) {
    expect(await policy.refusalFor(from('ada'), verb, target)).toBeUndefined();
    expect((await policy.refusalFor(from('bob'), verb, target))?.code).toBe('denied');
    expect((await policy.refusalFor(from('bob'), verb))?.code).toBe('denied');
  }
});

test('a refusal says what its owner can do, in a command that a shell takes', () => {
  const refusal = policyWith().policy.refusalOf(from("o'neil & sons"), target);
  expect(refusal?.hint).toBe(String.raw`its owner can allow it: on desktop: beckon agent share fabric@desktop/main --with 'o'\''neil & sons'`);
});

test('a refusal by a rule says where the rule stands, and not what else it says', () => {
  const refusal = policyWith({ file: '[[deny]]\nfrom = ["person:bob", "person:secret"]\nverbs = ["invoke"]\n', shares: [{ with: 'all' }] }).policy.refusalOf(from('bob'), target);
  expect(refusal?.message).toBe('bob (studio) may not invoke @fabric@desktop#main: it belongs to ada, and a rule denies it (policy.toml:1:3)');
  expect(JSON.stringify(refusal?.toInfo())).not.toContain('secret');
});

test('sharing opens one agent and no other, and shares are read for those alone whom nothing else lets in', () => {
  const { policy, reads } = policyWith({ shares: [{ with: 'person', name: 'bob' }], file: '[[allow]]\nfrom = ["person:carol"]\nverbs = ["invoke"]\n[[deny]]\nfrom = ["person:dan"]\nverbs = ["invoke"]\n' });
  for (const [owner, isAllowed] of [['ada', true], ['carol', true], ['dan', false]] as const) expect(policy.refusalOf(from(owner), target) === undefined).toBe(isAllowed);
  expect(reads).toEqual([]);
  expect(policy.refusalOf(from('bob'), target)).toBeUndefined();
  expect(policy.refusalOf(from('bob'), '@review@desktop#main')?.code).toBe('denied');
  expect(reads).toEqual(['shares', 'shares']);
});

describe('a rule that names a node', () => {
  const file = '[[allow]]\nfrom = ["node:studio"]\nverbs = ["invoke"]\n';

  test('means who holds the name now, which is looked up again only when members change', () => {
    const { policy, reads, rename } = policyWith({ file, studios: [theirs, other] });
    for (let count = 0; count < 3; count += 1) expect([policy.refusalOf(from('bob'), target), policy.refusalOf(from('carol', other), target)?.code]).toEqual([undefined, 'denied']);
    expect(reads.filter((each) => each === 'members')).toHaveLength(1);
    rename([other]);
    expect([policy.refusalOf(from('bob'), target)?.code, policy.refusalOf(from('carol', other), target)]).toEqual(['denied', undefined]);
  });

  test('means nobody when none has the name, whatever a caller calls itself', () => {
    const { policy } = policyWith({ file, studios: [] });
    expect(policy.refusalOf(from('bob'), target)?.code).toBe('denied');
  });
});

describe('queued work', () => {
  test('has the right of the owner identity that its link had shown', () => {
    const { policy } = policyWith({ shares: [{ with: 'person', name: 'bob' }] });
    expect(policy.judgeQueued(queued())).toBeUndefined();
    expect(policy.judgeQueued(queued({ originOwner: 'carol' }))).toMatchObject({ code: 'denied' });
    expect(policy.judgeQueued(queued({ originNodeId: me, originOwner: 'carol' }))).toBeUndefined();
    // Taken in by a version that did not keep it.
    const { originOwner: _left, ...older } = queued();
    expect(policy.judgeQueued(older as Flight)).toBeUndefined();
    expect(policy.judgeQueued({ ...older, originNodeId: other } as Flight)).toMatchObject({ code: 'denied' });
  });

  test('waits while what it was allowed by is not known, and neither starts nor fails; a certain denial fails it', () => {
    let standing = unknown;
    const file = '[[allow]]\nfrom = ["cap:example.com/cap/x"]\nverbs = ["invoke"]\n[[deny]]\nfrom = ["person:carol"]\nverbs = ["invoke"]\n';
    const { policy, denials } = policyWith({ file, standing: () => standing });
    expect(policy.judgeQueued(queued())).toBe('unknown');
    expect(denials).toEqual([]);
    expect(policy.refusalOfQueued(queued())).toMatchObject({ code: 'denied', message: expect.stringContaining('not known') });
    expect(policy.judgeQueued(queued({ originOwner: 'carol' }))).toMatchObject({ code: 'denied' });
    expect(policy.judgeQueued(queued({ originOwner: 'ada' }))).toBeUndefined();
    standing = known;
    expect(policy.judgeQueued(queued())).toBeUndefined();
    standing = { tailnet: { kind: 'known', tags: [], capabilities: new Set() }, rules: [] };
    expect(policy.judgeQueued(queued())).toMatchObject({ code: 'denied' });
  });
});

test('rules that the tailnet carries count as others do, and those that can not be understood deny', () => {
  const carried = parsePolicyFile('[[allow]]\nfrom = ["*"]\nverbs = ["invoke"]\n', 'x').rules;
  const { policy } = policyWith({ standing: () => ({ ...known, rules: carried }) });
  expect(policy.refusalOf(from('bob'), target)).toBeUndefined();
  const source = { kind: 'capability', name: 'beckon.internal/cap/policy', of: 'studio' } as const;
  const broken = policyWith({ standing: () => ({ ...known, rules: [{ effect: 'deny', verbs: ['invoke'], from: [{ kind: 'all' }], source, flaw: 'value 1: unknown key "alow"' }] }) });
  expect(broken.policy.refusalOf(from('ada'), target)?.message).toContain('can’t be understood: value 1: unknown key "alow"');
});

test('each denial that a caller is given is told, and no other', async () => {
  const { policy, denials } = policyWith({ shares: [{ with: 'person', name: 'bob' }] });
  policy.judge(from('carol'), 'invoke', target);
  policy.judgeQueued(queued({ originOwner: 'carol' }));
  policy.refusalOf(from('bob'), target);
  expect(denials).toEqual([]);
  policy.refusalOf(from('carol'), target);
  await policy.refusalFor(from('bob'), 'inspect');
  policy.refused(queued({ originOwner: 'carol' }));
  expect(denials.map(({ caller, verb, address }) => [caller.owner, verb, address])).toEqual([['carol', 'invoke', target], ['bob', 'inspect', undefined], ['carol', 'invoke', target]]);
});
