import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/domain/address.ts';
import { nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import { resolve, resolveHere, unseenLimitMs } from '../../../src/domain/resolve.ts';
import type { Candidate, Here, Resolution, ResolveQuery } from '../../../src/domain/resolve.ts';

const nowMs = 1_700_000_000_000;
const idOf = (seed: number): string => nodeIdOfPublicKey(new Uint8Array(32).fill(seed));
const nodes: Record<string, string> = { laptop: idOf(1), desktop: idOf(2), server: idOf(3) };
const here: Here = { nodeId: idOf(1), owner: 'ana', nowMs };

/** An instance from its address; the nodes laptop (here), desktop and server belong to ana unless told otherwise. */
function instance(text: string, changes: Partial<Candidate> = {}): Candidate {
  const { agent, node = 'laptop', workspace = 'main' } = parseAddress(text);
  const nodeId = changes.nodeId ?? nodes[node] ?? idOf(99);
  return {
    address: changes.nodeNameOwned === false ? formatAddress({ agent, node: nodeId, workspace }) : formatAddress({ agent, node, workspace }),
    agent,
    nodeName: node,
    nodeNameOwned: true,
    nodeId,
    workspace,
    owner: 'ana',
    harness: 'command',
    capabilities: [],
    labels: {},
    isDefault: false,
    available: true,
    nodeState: nodeId === here.nodeId ? 'here' : 'alive',
    lastSeenMs: nowMs,
    ...changes,
  };
}

function ask(text: string, candidates: readonly Candidate[], options: Omit<ResolveQuery, 'address'> = {}): Resolution {
  return resolve({ address: parseAddress(text), ...options }, candidates, here);
}

/** The chosen addresses, or the code of the error. */
function answer(resolution: Resolution): string {
  return resolution.ok ? resolution.targets.map((each) => each.address).join(' ') : resolution.error.code;
}

const why = (resolution: Resolution, address: string): string => resolution.explained.find((each) => each.address === address)?.why ?? 'not explained';

const info = (resolution: Resolution) => {
  if (resolution.ok) throw new Error('it was found');
  return resolution.error.toInfo();
};

describe('a fully qualified address', () => {
  const all = [instance('fabric@laptop/main', { isDefault: true }), instance('fabric@desktop/main'), instance('fabric@desktop/x')];

  test('means exactly that instance', () => {
    expect(answer(ask('@fabric@desktop#x', all))).toBe('@fabric@desktop#x');
    expect(why(ask('@fabric@desktop#x', all), '@fabric@desktop#x')).toBe('exactly this instance');
  });

  test('or is an error: nothing is stripped and retried', () => {
    expect(answer(ask('@fabric@desktop#y', all))).toBe('not_found');
    expect(answer(ask('@fabric@server#main', all))).toBe('not_found');
    expect(answer(ask('@fabric@desktop#X', all))).toBe('not_found');
    expect(answer(ask('@fabri@desktop#x', all))).toBe('not_found');
  });

  test('names the node by its id as well', () => {
    expect(answer(ask(`@fabric@${idOf(2)}#x`, all))).toBe('@fabric@desktop#x');
    expect(answer(ask(`@fabric@${idOf(77)}#x`, all))).toBe('not_found');
  });

  test('reaches nodes of other owners and nodes unseen for long', () => {
    const others = [instance('fabric@server/main', { owner: 'bob', lastSeenMs: nowMs - 30 * 86_400_000, nodeState: 'unreachable' })];
    expect(answer(ask('fabric@server/main', others))).toBe('@fabric@server#main');
    expect(answer(ask('fabric@server', others))).toBe('@fabric@server#main');
  });

  test.each(['left', 'removed'] as const)('does not reach a node that is %s', (nodeState) => {
    const gone = ask('fabric@server/main', [instance('fabric@server/main', { nodeState })]);
    expect(answer(gone)).toBe('not_found');
    expect(why(gone, '@fabric@server#main')).toContain('the mesh');
  });

  test('explains of each match whether it can be invoked, and why not', () => {
    const gone = { available: false, unavailableWhy: 'claude is not logged in' };
    const all = [instance('fabric@laptop/y', gone), instance('fabric@desktop/y', { available: false }), instance('fabric@server/y')];
    const explained = ask('fabric', all);
    expect(why(explained, '@fabric@laptop#y')).toBe('the only match on this node; not available: claude is not logged in');
    expect(why(explained, '@fabric@desktop#y')).toBe('matches, but one on this node comes first; not available');
    expect(why(explained, '@fabric@server#y')).toBe('matches, but one on this node comes first');
  });

  test('finds an instance that is not available, since that is for the caller to judge', () => {
    expect(answer(ask('fabric@desktop/x', [instance('fabric@desktop/x', { available: false, unavailableWhy: 'no such command' })]))).toBe('@fabric@desktop#x');
  });
});

describe('two nodes of one name', () => {
  const older = instance('fabric@desktop/main');
  const younger = instance('fabric@desktop/main', { nodeId: idOf(9), nodeNameOwned: false });

  test('the name means the node with the earlier certificate, the other is addressable by id only', () => {
    expect(answer(ask('fabric@desktop/main', [younger, older]))).toBe('@fabric@desktop#main');
    expect(answer(ask(`fabric@${idOf(9)}/main`, [younger, older]))).toBe(`@fabric@${idOf(9)}#main`);
  });

  test('the name alone never reaches the other, and the error tells its id', () => {
    const alone = ask('fabric@desktop', [younger]);
    expect(answer(alone)).toBe('not_found');
    expect(alone.ok ? '' : alone.error.hint).toBe(`did you mean fabric@${idOf(9)}/main`);
    expect(alone.explained).toEqual([{ address: `@fabric@${idOf(9)}#main`, chosen: false, why: 'another node holds the name desktop: address this one by its node id' }]);
  });

  test('without a node in the address both are searched', () => {
    expect(answer(ask('fabric', [older, younger]))).toBe('ambiguous');
    expect(answer(ask('fabric', [younger]))).toBe(`@fabric@${idOf(9)}#main`);
  });
});

describe('without a node', () => {
  test('only nodes of the own owner identity are searched, --any-owner widens', () => {
    const bobs = instance('fabric@server/main', { owner: 'bob' });
    const anas = instance('fabric@desktop/main');
    expect(answer(ask('fabric', [bobs, anas]))).toBe('@fabric@desktop#main');
    expect(answer(ask('fabric', [bobs]))).toBe('not_found');
    expect(answer(ask('fabric', [bobs], { anyOwner: true }))).toBe('@fabric@server#main');
    expect(answer(ask('fabric', [bobs, anas], { anyOwner: true }))).toBe('ambiguous');
    expect(why(ask('fabric', [bobs, anas]), '@fabric@server#main')).toBe('belongs to bob: name its node, or use --any-owner');
    const refused = ask('fabric', [bobs]);
    expect(refused.ok ? undefined : refused.error.toInfo()).toMatchObject({
      message: 'there is no @fabric to choose: @fabric@server#main: belongs to bob: name its node, or use --any-owner',
      hint: 'did you mean fabric@server/main',
      candidates: [{ address: '@fabric@server#main' }],
    });
  });

  test('nodes unseen for more than 7 days are passed over, this one never, with --any-owner too', () => {
    const seen = (ms: number, text = 'fabric@desktop/main'): Candidate => instance(text, { lastSeenMs: nowMs - ms });
    expect(unseenLimitMs).toBe(604_800_000);
    expect(answer(ask('fabric', [seen(unseenLimitMs)]))).toBe('@fabric@desktop#main');
    expect(answer(ask('fabric', [seen(unseenLimitMs + 1)]))).toBe('not_found');
    expect(answer(ask('fabric', [seen(unseenLimitMs + 1)], { anyOwner: true }))).toBe('not_found');
    expect(answer(ask('fabric', [seen(unseenLimitMs + 1, 'fabric@laptop/main')]))).toBe('@fabric@laptop#main');
    expect(answer(ask('fabric', [seen(unseenLimitMs + 1)], { all: true }))).toBe('not_found');
  });

  test('one match is the answer, wherever it is', () => {
    expect(answer(ask('fabric', [instance('fabric@desktop/x'), instance('loom@laptop/x')]))).toBe('@fabric@desktop#x');
    expect(answer(ask('fabric/x', [instance('fabric@desktop/x'), instance('fabric@laptop/y')]))).toBe('@fabric@desktop#x');
    expect(why(ask('fabric', [instance('fabric@desktop/x')]), '@fabric@desktop#x')).toBe('the only match');
  });

  test('of several it is the single one on this node', () => {
    const all = [instance('fabric@desktop/main', { isDefault: true }), instance('fabric@laptop/x'), instance('fabric@server/main')];
    expect(answer(ask('fabric', all))).toBe('@fabric@laptop#x');
    expect(ask('fabric', all).explained).toEqual([
      { address: '@fabric@desktop#main', chosen: false, why: 'matches, but one on this node comes first' },
      { address: '@fabric@laptop#x', chosen: true, why: 'the only match on this node' },
      { address: '@fabric@server#main', chosen: false, why: 'matches, but one on this node comes first' },
    ]);
  });

  test('else the one whose workspace is its definition’s default', () => {
    const two = [instance('fabric@laptop/x'), instance('fabric@laptop/main', { isDefault: true })];
    expect(answer(ask('fabric', two))).toBe('@fabric@laptop#main');
    const away = [instance('fabric@desktop/x'), instance('fabric@server/main', { isDefault: true })];
    expect(answer(ask('fabric', away))).toBe('@fabric@server#main');
    expect(answer(ask('fabric@desktop', [instance('fabric@desktop/x'), instance('fabric@desktop/main', { isDefault: true })]))).toBe('@fabric@desktop#main');
  });

  test('else it is ambiguous, with address, state and last seen of each', () => {
    const all = [
      instance('fabric@desktop/main', { isDefault: true, lastSeenMs: nowMs - 5 }),
      instance('fabric@server/main', { isDefault: true, nodeState: 'unreachable', lastSeenMs: nowMs - 9 }),
      instance('fabric@laptop/x'),
      instance('fabric@laptop/y', { available: false, unavailableWhy: 'no such command', lastSeenMs: nowMs - 1 }),
    ];
    const resolution = ask('fabric', all);
    expect(answer(resolution)).toBe('ambiguous');
    expect(resolution.ok ? undefined : resolution.error.toInfo()).toEqual({
      code: 'ambiguous',
      message: '@fabric means 4 instances',
      hint: 'give one of them in full, such as fabric@laptop/x; or let --any choose one, or --all call each',
      candidates: [
        { address: '@fabric@laptop#x', state: 'here', lastSeenMs: nowMs },
        { address: '@fabric@laptop#y', state: 'here', lastSeenMs: nowMs - 1, why: 'no such command' },
        { address: '@fabric@desktop#main', state: 'alive', lastSeenMs: nowMs - 5 },
        { address: '@fabric@server#main', state: 'unreachable', lastSeenMs: nowMs - 9 },
      ],
    });
    const [first, ...rest] = resolution.explained.map((each) => each.why);
    expect(resolution.explained.every((each) => !each.chosen)).toBe(true);
    expect([first, rest.length, new Set(rest)]).toEqual(['one of several matches', all.length - 1, new Set(['one of several matches', 'one of several matches; not available: no such command'])]);
  });
});

describe('--any', () => {
  test.each<[string, Partial<Candidate>, Partial<Candidate>]>([
    ['a live one before one on a node that is suspect', { busy: 9, rttMs: 99 }, { nodeState: 'suspect', busy: 0, rttMs: 1 }],
    ['a live one before an unavailable one', { busy: 9 }, { available: false, busy: 0 }],
    ['a live one before an unavailable one here', { busy: 9 }, { available: false, nodeId: here.nodeId, nodeState: 'here' }],
    ['one here before a less busy one', { nodeId: here.nodeId, nodeState: 'here', busy: 9 }, { busy: 0, rttMs: 1 }],
    ['the less busy before the closer', { busy: 1, rttMs: 99 }, { busy: 2, rttMs: 1 }],
    ['the lower round trip', { busy: 1, rttMs: 1 }, { busy: 1, rttMs: 2 }],
    ['known load before unknown', { busy: 5 }, {}],
    ['known round trip before unknown', { rttMs: 500 }, {}],
  ])('picks %s', (_promise, better, worse) => {
    const first = instance('fabric@server/z', better);
    const second = instance('fabric@desktop/a', worse);
    expect(answer(ask('fabric', [first, second], { any: true }))).toBe(first.address);
    expect(answer(ask('fabric', [second, first], { any: true }))).toBe(first.address);
  });

  test.each<[string, Partial<Candidate>, Partial<Candidate>]>([
    ['is live and this one is not', { busy: 9 }, { nodeState: 'suspect', busy: 0 }],
    ['is on this node', { nodeId: here.nodeId, nodeState: 'here', busy: 9 }, { busy: 0 }],
    ['is less busy', { busy: 1, rttMs: 99 }, { busy: 2, rttMs: 1 }],
    ['is closer', { rttMs: 1 }, { rttMs: 2 }],
  ])('tells each other one that the chosen one %s', (words, better, worse) => {
    const resolution = ask('fabric', [instance('fabric@server/z', better), instance('fabric@desktop/a', worse)], { any: true });
    expect(why(resolution, '@fabric@server#z')).toBe('the best of the matches');
    expect(why(resolution, '@fabric@desktop#a')).toBe(`matches, but @fabric@server#z ${words}`);
  });

  test('picks the same of equals every time, and one even when none is live', () => {
    const equals = [instance('fabric@server/a'), instance('fabric@desktop/a')];
    expect(answer(ask('fabric', equals, { any: true }))).toBe('@fabric@desktop#a');
    const down = equals.map((each) => ({ ...each, nodeState: 'unreachable' as const }));
    expect(answer(ask('fabric', down, { any: true }))).toBe('@fabric@desktop#a');
    expect(why(ask('fabric', equals, { any: true }), '@fabric@server#a')).toBe('matches, but @fabric@desktop#a comes first by its address');
  });
});

describe('--all and filters', () => {
  const all = [
    instance('fabric@server/main', { harness: 'acp', capabilities: ['review', 'write'], labels: { os: 'linux', tier: '1' } }),
    instance('fabric@desktop/main', { capabilities: ['review'], labels: { os: 'macos' } }),
    instance('fabric@laptop/main', { isDefault: true }),
    instance('loom@laptop/main', { harness: 'acp' }),
  ];

  test('--all means every match', () => {
    expect(answer(ask('fabric', all, { all: true }))).toBe('@fabric@desktop#main @fabric@laptop#main @fabric@server#main');
    expect(ask('fabric', all, { all: true }).explained.every((each) => each.chosen)).toBe(true);
    expect(answer(ask('fabric@server', all, { all: true }))).toBe('@fabric@server#main');
  });

  test('--all and --any at once is a contradiction', () => {
    expect(answer(ask('fabric', all, { all: true, any: true }))).toBe('invalid');
  });

  test.each<[string, Omit<ResolveQuery, 'address'>, string]>([
    ['harness', { harness: 'acp' }, '@fabric@server#main'],
    ['one capability', { capabilities: ['review'], all: true }, '@fabric@desktop#main @fabric@server#main'],
    ['all capabilities', { capabilities: ['review', 'write'] }, '@fabric@server#main'],
    ['a label', { labels: { os: 'macos' } }, '@fabric@desktop#main'],
    ['all labels', { labels: { os: 'linux', tier: '2' } }, 'not_found'],
    ['a label that only the prototype has', { labels: { constructor: 'x' } }, 'not_found'],
  ])('candidates are filtered by %s', (_what, options, expected) => {
    expect(answer(ask('fabric', all, options))).toBe(expected);
  });

  test('each one filtered out is told why', () => {
    const explained = (options: Omit<ResolveQuery, 'address'>): string => why(ask('fabric', all, options), '@fabric@desktop#main');
    expect(explained({ harness: 'acp' })).toBe('its harness is command');
    expect(explained({ capabilities: ['write'] })).toBe('lacks the capability write');
    expect(explained({ labels: { os: 'linux' } })).toBe('its label os is macos');
    expect(explained({ labels: { tier: '1' } })).toBe('has no label tier');
    const forged = all.map((each) => ({ ...each, labels: { os: `x\nerror: ${'y'.repeat(100)}` } }));
    expect(why(ask('fabric', forged, { labels: { os: 'linux' } }), '@fabric@desktop#main')).toMatch(/^its label os is "x\\nerror: y{40,60}…"$/);
    expect(explained({ labels: { constructor: 'x' } })).toBe('has no label constructor');
  });

  test('a filter holds for a fully qualified address as well', () => {
    expect(answer(ask('fabric@desktop/main', all, { harness: 'acp' }))).toBe('not_found');
  });
});

describe('`.`', () => {
  const [main, review] = [instance('fabric@laptop/main', { harness: 'acp', isDefault: true }), instance('review@laptop/main')];
  const outer = instance('loom@laptop/main');
  const point = (inside: readonly Candidate[], options: Omit<ResolveQuery, 'address'> = {}, outside: readonly Candidate[] = []): Resolution => resolveHere(options, '/src/shop', { inside, outside }, here);

  test('is the one that works nearest to the directory, and says why not the others', () => {
    const resolution = point([review], {}, [outer]);
    expect(answer(resolution)).toBe('@review@laptop#main');
    expect(resolution.explained).toEqual([
      { address: '@loom@laptop#main', chosen: false, why: 'another agent works nearer to this directory' },
      { address: '@review@laptop#main', chosen: true, why: 'works in this directory' },
    ]);
  });

  test.each<[string, readonly Candidate[], Omit<ResolveQuery, 'address'>, string]>([
    ['of several the default workspace', [main, review], {}, '@fabric@laptop#main'],
    ['of several the one that a filter leaves', [main, review], { harness: 'command' }, '@review@laptop#main'],
    ['any of several', [review, { ...main, isDefault: false }], { any: true }, '@fabric@laptop#main'],
    ['all of several', [review, main], { all: true }, '@fabric@laptop#main @review@laptop#main'],
    ['ambiguous else', [review, { ...main, isDefault: false }], {}, 'ambiguous'],
    ['nothing where nothing works', [], {}, 'not_found'],
    ['nothing where a filter leaves none', [review], { harness: 'acp' }, 'not_found'],
    ['a contradiction', [review], { any: true, all: true }, 'invalid'],
  ])('is %s', (_what, inside, options, expected) => {
    expect(answer(point(inside, options))).toBe(expected);
  });

  test('that means several tells the state and the last sight of each, and how to say which', () => {
    expect(info(point([review, { ...main, isDefault: false }]))).toMatchObject({
      message: '/src/shop means 2 instances',
      hint: expect.stringContaining('/main'),
      candidates: [{ address: '@fabric@laptop#main', state: 'here', lastSeenMs: nowMs }, { address: '@review@laptop#main', state: 'here', lastSeenMs: nowMs }],
    });
    expect(info(point([])).hint).toContain('beckon agent add');
    expect(info(point([review], { harness: 'acp' }))).toMatchObject({ candidates: [{ address: '@review@laptop#main', why: 'its harness is command' }], hint: expect.stringContaining('beckon resolve . --all') });
  });
});

describe('what is not found', () => {
  const all = [instance('fabric@laptop/feature-x'), instance('fabric@desktop/main'), instance('loom@laptop/main')];

  test('comes with the nearest addresses and one to paste', () => {
    expect(info(ask('@fabirc@laptop#feature-x', all))).toMatchObject({
      code: 'not_found',
      message: 'there is no @fabirc@laptop#feature-x',
      hint: 'did you mean fabric@laptop/feature-x',
    });
    expect(info(ask('@fabirc@laptop#feature-x', all)).candidates?.map((each) => each.address)).toEqual(['@fabric@laptop#feature-x', '@fabric@desktop#main']);
    expect(info(ask('@fabric@laptop#feature-y', all)).hint).toBe('did you mean fabric@laptop/feature-x');
  });

  test('comes with the closest there are when none is near, and with the way to see all', () => {
    expect(info(ask('@zebra', all)).candidates).toHaveLength(3);
    expect(info(ask('@zebra', all)).hint).toBe('to see all: beckon agents');
  });

  test('says how to add an agent when there is none', () => {
    expect(info(ask('fabric', []))).toEqual({ code: 'not_found', message: 'there is no @fabric', candidates: [], hint: 'no agent is known yet; to add one here: beckon agent add' });
  });

  test('shows five candidates at most', () => {
    const many = Array.from({ length: 30 }, (_, index) => instance(`fabric@laptop/w${index}`));
    expect(info(ask('fabric/zzz', many)).candidates).toHaveLength(5);
    expect(info(ask('fabric', many, { harness: 'acp' })).candidates).toHaveLength(5);
  });
});

describe('resolution', () => {
  const candidates = fc.uniqueArray(
    fc.record({
      text: fc.tuple(fc.constantFrom('fabric', 'loom'), fc.constantFrom('laptop', 'desktop', 'server'), fc.constantFrom('main', 'x', 'y')).map(([a, n, w]) => `${a}@${n}/${w}`),
      owner: fc.constantFrom('ana', 'bob'),
      isDefault: fc.boolean(),
      available: fc.boolean(),
      lastSeenMs: fc.constantFrom(nowMs, nowMs - unseenLimitMs - 1),
      busy: fc.nat({ max: 3 }),
    }).map(({ text, ...changes }) => instance(text, changes)),
    { selector: (each) => each.address, maxLength: 12 },
  );
  const queries = fc.record({
    address: fc.constantFrom('fabric', 'fabric/x', 'fabric@laptop', 'fabric@desktop/main', 'loom', 'none').map((text) => parseAddress(text)),
    any: fc.boolean(),
    all: fc.boolean(),
    anyOwner: fc.boolean(),
  });

  test('does not depend on the order of what is known, chooses only matches, and explains each instance of the agent once', () => {
    fc.assert(
      fc.property(candidates, queries, (known, query) => {
        fc.pre(!(query.any && query.all));
        const resolution = resolve(query, known, here);
        const reversed = resolve(query, known.toReversed(), here);
        expect(answer(reversed)).toBe(answer(resolution));
        expect(reversed.explained).toEqual(resolution.explained);
        const named = known.filter((each) => each.agent === query.address.agent).map((each) => each.address);
        expect(resolution.explained.map((each) => each.address)).toEqual(named.toSorted());
        const chosen = resolution.explained.filter((each) => each.chosen).map((each) => each.address);
        expect(chosen).toEqual(resolution.ok ? resolution.targets.map((each) => each.address).toSorted() : []);
        for (const each of resolution.explained) expect(each.why).not.toBe('');
        if (!resolution.ok) return;
        expect(query.all || resolution.targets.length === 1).toBe(true);
        for (const target of resolution.targets) {
          expect(query.address.node ?? target.nodeName).toBe(target.nodeName);
          expect(query.address.workspace ?? target.workspace).toBe(target.workspace);
          expect(query.address.node !== undefined || query.anyOwner || target.owner === 'ana').toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
