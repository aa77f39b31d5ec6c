import { afterEach, expect, test } from 'vitest';
import { asMeshId } from '../../src/domain/ids.ts';
import { largestNews } from '../../src/gossip/host.ts';
import { allHear as all, GossipNode, gossipNodes, Roll, say } from '../support/gossip-nodes.ts';
import { waitFor } from '../support/wait-for.ts';

const running: GossipNode[] = [];

async function nodes(...given: Parameters<typeof gossipNodes>): Promise<GossipNode[]> {
  const made = await gossipNodes(...given);
  running.push(...made);
  return made;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.gossip.stop()));
});

test('news of one reach all, once each, whoever passes them on', async () => {
  const five = await nodes(5);
  for (const each of five) await each.neighbours(4);
  const [first, ...others] = five;
  first?.gossip.publish(say('one'));
  await all(others, 'one');
  first?.gossip.publish(say('one'));
  first?.gossip.publish(say('two'));
  await all(others, 'two');
  expect(others.map((each) => each.heard.length)).toEqual([2, 2, 2, 2]);
  expect(first?.heard).toEqual([]);
});

test('what its receiver does not accept is not passed on', async () => {
  const roll = new Roll();
  const [left, middle, right] = await nodes(3, roll);
  if (left === undefined || middle === undefined || right === undefined) throw new Error('three');
  await left.neighbours(2);
  middle.verdict = () => 'ignore';
  right.verdict = () => 'reject';
  left.gossip.publish(say('doubtful'));
  await all([middle, right], 'doubtful');
  left.gossip.publish(say('last'));
  await all([middle, right], 'last');
  expect([middle, right].map((each) => each.heard.length)).toEqual([2, 2]);
});

test('a key that is no member’s gets no connection, inbound or outbound', async () => {
  const roll = new Roll();
  const [one] = await nodes(2, roll);
  // It knows the members, and they do not know it.
  const itsRoll = new Roll();
  for (const [nodeId, member] of roll.members) itsRoll.members.set(nodeId, member);
  const [stranger] = await nodes(1, itsRoll);
  if (one === undefined || stranger === undefined) throw new Error('nodes');
  await one.neighbours(1);
  // It dials as a member would, and is cut once its key is known: long enough for several tries.
  const dialled = waitFor('a neighbour of the stranger', () => stranger.gossip.neighbours().size > 0, { timeoutMs: 1500 });
  await expect(dialled).rejects.toThrow(/waited/);
  one.gossip.publish(say('secret'));
  stranger.gossip.publish(say('lie'));
  expect([stranger.hears('secret'), one.hears('lie')]).toEqual([false, false]);
  expect(one.gossip.neighbours().has(stranger.nodeId)).toBe(false);
});

test('a member that was removed is cut at once, and does not come back', async () => {
  const roll = new Roll();
  const [one, two, three] = await nodes(3, roll);
  if (one === undefined || two === undefined || three === undefined) throw new Error('nodes');
  for (const each of [one, two, three]) await each.neighbours(2);
  const itself = roll.members.get(three.nodeId);
  roll.members.delete(three.nodeId);
  one.gossip.membersChanged();
  two.gossip.membersChanged();
  await waitFor('it to be cut', () => !one.gossip.neighbours().has(three.nodeId) && !two.gossip.neighbours().has(three.nodeId) && three.gossip.neighbours().size === 0);
  one.gossip.publish(say('after'));
  await all([two], 'after');
  await expect(waitFor('it to come back', () => three.gossip.neighbours().size > 0, { timeoutMs: 1200 })).rejects.toThrow(/waited/);
  expect(three.hears('after')).toBe(false);
  if (itself !== undefined) roll.members.set(three.nodeId, itself);
  await three.neighbours(2);
});

test('two meshes on one host never hear each other, even when they share members', async () => {
  const roll = new Roll();
  const here = await nodes(2, roll);
  const there = await nodes(2, roll, { meshId: asMeshId('another-mesh') });
  await waitFor('each mesh to be linked', () => [...here, ...there].every((each) => each.gossip.neighbours().size === 1), { timeoutMs: 10_000 });
  here[0]?.gossip.publish(say('here'));
  there[0]?.gossip.publish(say('there'));
  await waitFor('news', () => here[1]?.hears('here') === true && there[1]?.hears('there') === true);
  expect(here.map((each) => each.hears('there'))).toEqual([false, false]);
  expect(there.map((each) => each.hears('here'))).toEqual([false, false]);
});

test('a node that nobody can reach has no neighbours, and what it publishes does nothing', async () => {
  const roll = new Roll();
  const [alone] = await nodes(1, roll);
  const [gone] = await nodes(1, roll);
  await gone?.gossip.stop();
  alone?.gossip.publish(say('to nobody'));
  expect(alone?.gossip.neighbours()).toEqual(new Set());
  await alone?.gossip.stop();
  alone?.gossip.publish(say('after its end'));
  expect([alone?.gossip.neighbours().size, alone?.gossip.addresses()]).toEqual([0, []]);
});

test('news said while nobody listened are heard when they are said again', async () => {
  const roll = new Roll();
  const [first] = await nodes(1, roll);
  first?.gossip.publish(say('again'));
  const [second] = await nodes(1, roll);
  await first?.neighbours(1);
  first?.gossip.publish(say('again'));
  await all([second as GossipNode], 'again');
});

test('news that are too large are left to the sessions', async () => {
  const [first, second] = await nodes(2);
  await first?.neighbours(1);
  await second?.neighbours(1);
  first?.gossip.publish(say(new Uint8Array(largestNews)));
  first?.gossip.publish(say(new Uint8Array(largestNews - 1024).fill(65)));
  first?.gossip.publish(say('small'));
  await all([second as GossipNode], 'small');
  expect(second?.heard.length).toBe(2);
});

test('a neighbour that restarts is a neighbour again', async () => {
  const roll = new Roll();
  const [first, second] = await nodes(2, roll);
  await first?.neighbours(1);
  await second?.gossip.stop();
  await first?.neighbours(0);
  await second?.gossip.start();
  roll.enter(second as GossipNode);
  await first?.neighbours(1);
  await second?.neighbours(1);
  first?.gossip.publish(say('back'));
  await all([second as GossipNode], 'back');
});

test('stop ends in the middle of everything, twice and before start', async () => {
  const roll = new Roll();
  const made = await nodes(3, roll);
  for (const each of made) each.verdict = () => new Promise(() => undefined);
  for (let count = 0; count < 200; count += 1) made[0]?.gossip.publish(say(`${count}`));
  const startedMs = performance.now();
  await Promise.all(made.flatMap((each) => [each.gossip.stop(), each.gossip.stop()]));
  expect(performance.now() - startedMs).toBeLessThan(5000);
  await new GossipNode(roll).gossip.stop();
});
