import { beforeEach, describe, expect, test } from 'vitest';
import type { MeshId, NodeId } from '../../../src/domain/ids.ts';
import type { PeerState } from '../../../src/domain/peer.ts';
import { isWork, LinkDemand, lookedAfterMs, restAfterMs } from '../../../src/mesh/link-demand.ts';
import { allLinkedUpTo } from '../../../src/mesh/link-choice.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const mesh = 'a'.repeat(40) as MeshId;
const self = 'k51self' as NodeId;
const others = Array.from({ length: 40 }, (_, index) => `k51node${index}` as NodeId);

let clock: FakeClock;
let states: Map<NodeId, PeerState>;
let owed: Set<NodeId>;
let demand: LinkDemand;
/** One that is nobody's neighbour here. */
let far: NodeId;
/** One that is. */
let near: NodeId;

beforeEach(() => {
  clock = new FakeClock();
  states = new Map(others.map((each) => [each, 'discovered']));
  owed = new Set();
  demand = new LinkDemand({ clock, stateOf: (nodeId) => states.get(nodeId), isOwed: (nodeId) => owed.has(nodeId) });
  demand.setMembers(mesh, self, others);
  far = others.find((each) => !demand.wants(each)) ?? self;
  near = others.find((each) => demand.wants(each)) ?? self;
});

const link = (nodeId: NodeId, { isHeldByPeer = false, isUsed = true } = {}) => ({ peer: { nodeId }, beganMs: clock.monotonic(), usedMs: isUsed ? clock.monotonic() : undefined, isHeldByPeer });

describe('a link', () => {
  test('is wanted with everybody in a small mesh, and stays', async () => {
    demand.setMembers(mesh, self, others.slice(0, allLinkedUpTo));
    expect(others.slice(0, allLinkedUpTo).every((each) => demand.wants(each))).toBe(true);
    const used = link(others[0] ?? self);
    await clock.advance(10 * restAfterMs);
    expect(demand.mayRest(used)).toBe(false);
  });

  test('is wanted with a dozen of a large mesh, with whoever work is for, and with strangers', async () => {
    expect(others.filter((each) => demand.wants(each))).toHaveLength(12);
    expect(demand.rests(far)).toBe(true);
    expect(demand.wants('k51stranger' as NodeId)).toBe(true);
    demand.ask(far);
    expect(demand.wants(far)).toBe(true);
    await clock.advance(restAfterMs);
    expect(demand.wants(far)).toBe(false);
  });

  test('is wanted with one that could not be had, and with the next neighbour in its place', () => {
    expect(demand.newNeighbours()).toHaveLength(12);
    states.set(near, 'unreachable');
    demand.stateChanged();
    expect(demand.newNeighbours()).toHaveLength(1);
    expect(demand.newNeighbours()).toEqual([]);
    expect(demand.wants(near)).toBe(true);
    expect(others.filter((each) => demand.wants(each))).toHaveLength(13);
    states.set(far, 'suspect');
    expect(demand.wants(far)).toBe(true);
  });

  test('with one that could not be had and that nobody waits for is wanted, and not needed', () => {
    states.set(far, 'unreachable');
    demand.stateChanged();
    expect([demand.wants(far), demand.needs(far), demand.rests(far)]).toEqual([true, false, false]);
    demand.ask(far);
    expect(demand.needs(far)).toBe(true);
    expect(demand.needs(near)).toBe(true);
  });

  test('rests within seconds when no work ever passed', async () => {
    const seen = link(far, { isUsed: false });
    const used = link(far);
    await clock.advance(lookedAfterMs - 1);
    expect(demand.mayRest(seen)).toBe(false);
    await clock.advance(1);
    expect(demand.mayRest(seen)).toBe(true);
    expect(demand.mayRest({ ...seen, isHeldByPeer: true })).toBe(false);
    expect(demand.mayRest(used)).toBe(false);
  });

  test('rests when nothing passed for five minutes, nothing is owed, and its peer does not hold on to it', async () => {
    const idle = link(far);
    await clock.advance(restAfterMs - 1);
    expect(demand.mayRest(idle)).toBe(false);
    await clock.advance(1);
    expect(demand.mayRest(idle)).toBe(true);
    expect(demand.mayRest(link(far))).toBe(false);
    expect(demand.mayRest({ ...idle, isHeldByPeer: true })).toBe(false);
    expect(demand.mayRest({ ...idle, peer: { nodeId: near } })).toBe(false);
    expect(demand.mayRest({ ...idle, peer: { nodeId: 'k51stranger' as NodeId } })).toBe(false);
    owed.add(far);
    expect(demand.mayRest(idle)).toBe(false);
    owed.clear();
    demand.ask(far);
    expect(demand.mayRest(idle)).toBe(false);
  });
});

test('one that nothing was heard of for a day is looked at, one after the other', async () => {
  const seen = { sinceMs: clock.now(), lastSeenMs: clock.now() };
  await clock.advance(86_400_000);
  expect(demand.longUnseen([{ ...seen, nodeId: far }])).toBeUndefined();
  await clock.advance(1);
  expect(demand.longUnseen([{ ...seen, nodeId: near }, { ...seen, nodeId: far, lastSeenMs: clock.now() }])).toBeUndefined();
  expect(demand.longUnseen([{ ...seen, nodeId: near }, { ...seen, nodeId: far }])).toBe(far);
  demand.ask(far);
  expect(demand.longUnseen([{ ...seen, nodeId: far }])).toBeUndefined();
});

test('what nodes tell each other all the time keeps no link, what they do for each other does', () => {
  const told = ['registry_change', 'registry_entry', 'presence', 'roster', 'registry_digest', 'registry_entries', 'registry_records', 'reach', 'dial_back'] as const;
  for (const type of told) expect(isWork({ type } as Parameters<typeof isWork>[0])).toBe(false);
  for (const type of ['forward', 'flight_events', 'event_ack', 'cancel', 'reply', 'sync', 'ping', 'trace', 'diff'] as const) expect(isWork({ type } as Parameters<typeof isWork>[0])).toBe(true);
});
