/** Thirty nodes of one mesh in this process, the network alone: who holds a session with whom, and for how long. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { restWords } from '../../src/domain/peer.ts';
import { restAfterMs } from '../../src/mesh/link-demand.ts';
import { neighboursEachWay } from '../../src/mesh/link-choice.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { fastClock, TestNode } from './session-fixture.ts';

const size = 30;
const usual = 2 * neighboursEachWay;

const steady = fastClock(1);
let laterMs = 0;
const clock = { ...steady, now: () => steady.now() + laterMs, monotonic: () => steady.monotonic() + laterMs };
const nodes: TestNode[] = [];
const owed = new Set<string>();
let authority: Awaited<ReturnType<typeof testMesh>>;

beforeAll(async () => {
  authority = await testMesh();
  for (let index = 0; index < size; index += 1) {
    const own = await authority.member(`node${index}`);
    nodes.push(new TestNode(own, { clock, isOwed: (nodeId) => owed.has(`${own.nodeId} ${nodeId}`) }));
  }
  // One after the other: they share one process, and greeting costs it most.
  for (const node of nodes) {
    tellAll();
    await node.start();
    tellAll();
    const wanted = (nodeId: string): boolean => node.mesh.peers().some((each) => each.nodeId === nodeId && each.why !== restWords && each.state !== 'alive');
    await waitFor('its links with those that are there', () => nodes.every(({ address, identity }) => address === '' || !wanted(identity.nodeId)), { timeoutMs: 10_000 });
  }
  await settled();
}, 60_000);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  await authority[Symbol.asyncDispose]();
});

function tellAll(): void {
  const members = nodes.map(({ identity, address }) => ({ identity, addresses: address === '' ? [] : [address] }));
  for (const node of nodes) node.mesh.addMembers(members);
}

/** Each has the links that it should have, and no other. */
async function settled(): Promise<void> {
  const links = ({ mesh }: TestNode): number => mesh.links().length;
  await waitFor('each to have its links', () => nodes.every((node) => links(node) >= usual && node.mesh.peers().every(({ state }) => state === 'alive' || state === 'discovered')), { timeoutMs: 50_000 });
  // What a slow start made besides.
  laterMs += restAfterMs;
  await waitFor('the others to be let go', () => nodes.every(({ mesh }) => mesh.links().length === usual && mesh.peers().every(({ state, why }) => state === 'alive' || why === restWords)), { timeoutMs: 20_000 });
}

/** Two that have no link. */
function strangers(): readonly [TestNode, TestNode] {
  for (const one of nodes) for (const other of nodes) if (one !== other && one.mesh.link(other.identity.nodeId) === undefined) return [one, other];
  throw new Error('all are linked');
}

const has = (one: TestNode, other: TestNode): boolean => one.mesh.link(other.identity.nodeId) !== undefined;
const statesAt = (node: TestNode): unknown[] => node.logged.map(({ fields }) => fields['to']).filter((to) => to !== undefined);

test('each holds a dozen sessions and knows the others, which need none', () => {
  for (const node of nodes) {
    expect(node.mesh.links()).toHaveLength(usual);
    const idle = node.mesh.peers().filter(({ state }) => state === 'discovered');
    expect(idle).toHaveLength(size - 1 - usual);
    expect(new Set(idle.map(({ why }) => why))).toEqual(new Set([restWords]));
  }
});

test('a link that work asks for is there at once, and is let go by both when nothing passed for five minutes', async () => {
  const [one, other] = strangers();
  const began = performance.now();
  const link = await one.mesh.want(other.identity.nodeId);
  expect(link?.isUp).toBe(true);
  expect(performance.now() - began).toBeLessThan(2_000);
  await other.linkTo(one);
  laterMs += restAfterMs;
  await waitFor('the link to rest', () => !has(one, other) && !has(other, one));
  for (const [node, peer] of [[one, other], [other, one]] as const) {
    expect(node.mesh.peers().find(({ nodeId }) => nodeId === peer.identity.nodeId)).toMatchObject({ state: 'discovered', why: restWords });
    expect(statesAt(node)).not.toContain('suspect');
  }
  // All others stay, and what was let go is not made again by itself.
  laterMs += 30_000;
  await waitFor('some heartbeats to pass', () => one.mesh.peers().every(({ lastSeenMs = 0, state }) => state !== 'alive' || clock.now() - lastSeenMs < 10_000));
  expect(has(one, other)).toBe(false);
});

test('one that either side has something open for stays, and goes when that is done', async () => {
  const [one, other] = strangers();
  owed.add(`${other.identity.nodeId} ${one.identity.nodeId}`);
  const link = await one.mesh.want(other.identity.nodeId);
  // A heartbeat tells the one that the other holds on to it.
  await waitFor('a round trip', () => one.mesh.peers().some(({ nodeId, rttMs }) => nodeId === other.identity.nodeId && rttMs !== undefined));
  laterMs += 2 * restAfterMs;
  await waitFor('some heartbeats to pass', () => clock.now() - (one.mesh.peers().find(({ nodeId }) => nodeId === other.identity.nodeId)?.lastSeenMs ?? 0) < 1_000);
  expect(link?.isUp).toBe(true);
  owed.clear();
  await waitFor('the link to rest', () => !has(one, other));
});

test('one that can not be had when it is needed is unreachable, and is alive when it is back', async () => {
  const [one, other] = strangers();
  await other.stop();
  expect(await one.mesh.want(other.identity.nodeId)).toBeUndefined();
  await one.becomes(other, 'unreachable');
  await waitFor('its neighbours to have others in its place', () => nodes.every((node) => node === other || node.mesh.links().length >= usual), { timeoutMs: 20_000 });
  await other.start();
  await one.becomes(other, 'alive', 20_000);
});

test('a member that has no link with a node is asked whether it hears it, looks, and says the truth', async () => {
  const [one, other] = strangers();
  const third = nodes.find((node) => has(one, node) && !has(node, other) && node !== other);
  const answer = await one.mesh.link(third?.identity.nodeId ?? one.identity.nodeId)?.ask({ type: 'reach', nodeId: other.identity.nodeId }, 5_000);
  expect(answer).toMatchObject({ reached: true });
});
