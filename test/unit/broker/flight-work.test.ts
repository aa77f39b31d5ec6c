/** Whose flights a node shows and settles the work of, when another asks. */
import { describe, expect, test } from 'vitest';
import { FlightWork } from '../../../src/broker/flight-work.ts';
import { Isolation } from '../../../src/broker/isolation.ts';
import { Policy } from '../../../src/broker/policy.ts';
import type { Denial } from '../../../src/broker/policy.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { Rule } from '../../../src/domain/policy.ts';
import type { Share } from '../../../src/domain/sharing.ts';
import type { Worktrees } from '../../../src/domain/worktree-port.ts';
import type { Worktree } from '../../../src/domain/worktree.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { noCheckouts, noWorktrees } from '../../support/no-worktrees.ts';
import { nodeIdFor, silentLog, Story } from '../../support/temp-store.ts';

const [me, origin, other] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const invocationId = new Story().invocationId();
const head = 'a'.repeat(40);
const place = { name: 'one', prefix: '', gitDir: '/shop/.git/worktrees/one', searchPath: '/bin' };

function work(more: { readonly ownerNodeId?: NodeId; readonly state?: 'running' | 'completed'; readonly worktree?: Worktree | undefined; readonly links?: ReadonlyMap<NodeId, Link>; readonly worktrees?: Partial<Worktrees>; readonly standing?: () => Promise<void> } = {}) {
  const { ownerNodeId = me, state = 'completed', links = new Map() } = more;
  const flight = { id: flightOfInvocation(invocationId), invocationId, originNodeId: origin, originOwner: 'bob', ownerNodeId, target: '@fabric@before#main', state, startedAtMs: 5 };
  const given = { rules: [] as Rule[], shares: [{ with: 'person', name: 'bob' }] as Share[], isPruned: false };
  const denials: Denial[] = [];
  let worktree: Worktree | undefined = 'worktree' in more ? more.worktree : { madeFor: invocationId, head, branch: 'beckon/one', dirty: 0, state: 'kept', place };
  const settled: unknown[] = [];
  const store = {
    read: {
      ...{ flight: (id: string) => (id === flight.id && !given.isPruned ? flight : undefined), worktree: () => worktree, worktreeNamed: () => worktree },
      // It was called another name when it ran.
      ...{ shares: (address: string) => (address === '@fabric@laptop#main' ? given.shares : []), member: () => undefined, membersNamed: () => [] },
    },
    write: {
      settleWorktree: (input: { state: Worktree['state']; by?: string }) => {
        settled.push([input.state, input.by]);
        if (worktree !== undefined) worktree = { ...worktree, state: input.state };
        return Promise.resolve(worktree);
      },
    },
  };
  const worktrees = { ...noWorktrees, isThere: () => Promise.resolve(true), pathOf: () => '/kept/one', remove: () => Promise.resolve({ tip: 'b'.repeat(40) }), ...more.worktrees };
  const chronicler = { stamp: () => ({ atMs: 1, hlc: '' }) };
  const common = { store, chronicler, log: silentLog, worktrees, clock: new FakeClock(), ulids: { next: () => '01J9Z6M3T4V8Q2X7K5B1C0D9EF' } };
  const isolation = new Isolation({ ...common, checkouts: noCheckouts, harnesses: new Map() } as never);
  const self = { nodeId: me, name: () => 'laptop', owner: () => 'ada', namedSinceMs: () => 0 };
  const file = { get rules() { return given.rules; }, onChange: () => undefined, view: () => Promise.reject(new Error('nobody asks')) };
  const standings = { standingOf: () => ({ tailnet: { kind: 'none', why: '' }, rules: [] }) as const, settled: () => more.standing?.(), onChange: () => undefined };
  const policy = new Policy({ store: store as never, self, file, standings, onDenied: (denial) => denials.push(denial) });
  const nodes = { nameOf: (nodeId: string) => (nodeId === me ? 'laptop' : 'desktop') };
  const flightWork = new FlightWork({ ...common, isolation, nodes, self, policy, mesh: () => ({ link: (id: NodeId) => links.get(id), want: (id: NodeId) => Promise.resolve(links.get(id)) }), find: () => flight } as never);
  return { flightWork, settled, flight, given, denials };
}

const link = (nodeId: NodeId, ask: Link['ask'] = () => Promise.reject(new Error('nobody is asked'))): Link => ({ peer: { nodeId, name: 'peer', owner: nodeId === origin ? 'bob' : 'ada' }, ask }) as never;
const settle = { verb: 'discarded', by: 'uid:501' } as const;

test('the origin of a flight is answered without the worktree’s place, and its wish is noted with its name', async () => {
  const { flightWork, settled } = work();
  expect(await flightWork.answer(link(origin), { type: 'worktree', invocationId })).toEqual({ type: 'worktree', isolation: { head, branch: 'beckon/one', dirty: 0, state: 'kept' } });
  expect(await flightWork.answer(link(origin), { type: 'worktree', invocationId, settle })).toMatchObject({ isolation: { state: 'discarded' }, tip: 'b'.repeat(40) });
  expect(settled).toEqual([['discarded', 'uid:501 on peer']]);
});

test('nobody else is, whoever owns the node, and whatever is asked', async () => {
  const { flightWork, settled } = work();
  for (const query of [{ type: 'worktree', invocationId }, { type: 'worktree', invocationId, settle }, { type: 'diff', invocationId, offset: 0 }] as const) {
    await expect(flightWork.answer(link(other), query)).rejects.toMatchObject({ code: 'denied' });
    await expect(flightWork.answer(link(origin), { ...query, invocationId: new Story(1).invocationId() })).rejects.toMatchObject({ code: 'denied' });
    await expect(work({ ownerNodeId: other }).flightWork.answer(link(origin), query)).rejects.toMatchObject({ code: 'denied' });
  }
  expect(settled).toEqual([]);
});

describe('who may not have it done any more', () => {
  const questions = [{ type: 'diff', invocationId, offset: 0 }, { type: 'diff', invocationId, snapshot: 'begun', offset: 10 }, { type: 'worktree', invocationId }, { type: 'worktree', invocationId, settle }] as const;
  const denial: Rule = { effect: 'deny', verbs: ['invoke'], from: [{ kind: 'person', name: 'bob' }], source: { kind: 'file', where: 'policy.toml:1:3' } };

  test.each([
    ['its share was taken back', { shares: [] }],
    ['a rule denies it', { rules: [denial] }],
  ])('reads nothing of the worktree and removes nothing: %s', async (_why, now) => {
    const { flightWork, settled, given, denials } = work({ worktrees: { snapshot: () => Promise.reject(new Error('it was read')) } });
    Object.assign(given, now);
    for (const query of questions) await expect(flightWork.answer(link(origin), query)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('bob (peer) may not invoke @fabric@laptop#main') });
    expect(settled).toEqual([]);
    expect(denials).toMatchObject(questions.map(() => ({ verb: 'invoke', address: '@fabric@laptop#main', caller: { owner: 'bob' } })));
  });

  test('is judged by what the tailnet says of it, and of a flight that is there then', async () => {
    const { flightWork, settled, given } = work({ standing: async () => void given.rules.push(denial) });
    await expect(flightWork.answer(link(origin), { type: 'worktree', invocationId, settle })).rejects.toMatchObject({ code: 'denied' });
    const pruned = work({ standing: async () => void (pruned.given.isPruned = true) });
    await expect(pruned.flightWork.answer(link(origin), { type: 'worktree', invocationId, settle })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('is not a flight') });
    expect([settled, pruned.settled]).toEqual([[], []]);
  });
});

test('what is fetched must be named, and nothing is let go while the flight goes on', async () => {
  const unnamed = work();
  await expect(unnamed.flightWork.answer(link(origin), { type: 'worktree', invocationId, settle: { verb: 'fetched', by: 'uid:501' } })).rejects.toMatchObject({ code: 'invalid' });
  const running = work({ state: 'running' });
  await expect(running.flightWork.answer(link(origin), { type: 'worktree', invocationId, settle })).rejects.toMatchObject({ code: 'conflict' });
  expect([unnamed.settled, running.settled]).toEqual([[], []]);
});

test('an origin that can’t reach the owner, or gets no answer, does nothing and says so', async () => {
  const told: Worktree = { madeFor: invocationId, head, branch: 'beckon/one', dirty: 0, state: 'kept' };
  const away = work({ ownerNodeId: other, worktree: told });
  await expect(away.flightWork.settle('last', settle)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('desktop') });
  const silent = work({ ownerNodeId: other, worktree: told, links: new Map([[other, link(other, () => Promise.reject(new BrokerError('deadline', 'desktop did not answer within 600000 ms')))]]) });
  await expect(silent.flightWork.settle('last', settle)).rejects.toMatchObject({ code: 'unavailable' });
  expect([away.settled, silent.settled]).toEqual([[], []]);
  // What was known is shown meanwhile.
  expect(await silent.flightWork.look(silent.flight as never)).toEqual({ head, branch: 'beckon/one', dirty: 0, state: 'kept' });
});

test('an origin keeps what the owner tells it, and no path of another machine', async () => {
  const told: Worktree = { madeFor: invocationId, head, branch: 'beckon/one', dirty: 0, state: 'kept' };
  const isolation = { head, branch: 'beckon/one', dirty: 0, state: 'fetched', path: '/theirs' } as const;
  const asked = work({ ownerNodeId: other, worktree: told, links: new Map([[other, link(other, (() => Promise.resolve({ type: 'worktree', isolation })) as never)]]) });
  expect(await asked.flightWork.look(asked.flight as never)).toEqual({ head, branch: 'beckon/one', dirty: 0, state: 'fetched' });
  expect(asked.settled).toEqual([['fetched', 'owner']]);
});
