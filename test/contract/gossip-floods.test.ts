import { setTimeout as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { newsRate } from '../../src/gossip/gossip.ts';
import { allHear as all, gossipNodes, Roll, say, textOf } from '../support/gossip-nodes.ts';
import type { GossipNode } from '../support/gossip-nodes.ts';
import { waitFor } from '../support/wait-for.ts';

const running: GossipNode[] = [];

async function three(): Promise<[victim: GossipNode, flooder: GossipNode, honest: GossipNode]> {
  const [victim, flooder, honest] = await gossipNodes(3, new Roll());
  if (victim === undefined || flooder === undefined || honest === undefined) throw new Error('three');
  running.push(victim, flooder, honest);
  for (const each of running) await each.neighbours(2);
  return [victim, flooder, honest];
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.gossip.stop()));
});

test('a member that floods is not listened to for a while, and the others are', async () => {
  const [victim, flooder, honest] = await three();
  const judge: GossipNode['verdict'] = (news) => (textOf(news).startsWith('lie') ? 'reject' : 'accept');
  victim.verdict = judge;
  honest.verdict = judge;
  for (let count = 0; count < 5000; count += 1) flooder.gossip.publish(say(`lie ${count}`));
  await waitFor('it to be shunned', () => !victim.gossip.neighbours().has(flooder.nodeId) && !honest.gossip.neighbours().has(flooder.nodeId));
  honest.gossip.publish(say('truth'));
  await all([victim], 'truth');
  expect(victim.heard.filter(({ from }) => from === flooder.nodeId).length).toBeLessThan(200);
  await expect(waitFor('it to be back', () => flooder.gossip.neighbours().size > 0, { timeoutMs: 1200 })).rejects.toThrow(/waited/);
});

test('a member that says more than it may waits, and the others are heard meanwhile', async () => {
  const [victim, flooder, honest] = await three();
  honest.verdict = () => 'ignore';
  let isFlooding = true;
  const flood = (async () => {
    for (let count = 0; isFlooding && count < 100_000; count += 1) {
      flooder.gossip.publish(say(`many ${count}`));
      if (count % 100 === 0) await nextTurn(1);
    }
  })();
  await waitFor('its burst to be used up', () => victim.heard.length >= newsRate.burst, { timeoutMs: 10_000 });
  const beforeMs = performance.now();
  const before = victim.heard.length;
  honest.gossip.publish(say('mine'));
  await all([victim], 'mine');
  await waitFor('a second', () => performance.now() - beforeMs > 1000);
  isFlooding = false;
  await flood;
  const perSecond = ((victim.heard.length - before) * 1000) / (performance.now() - beforeMs);
  expect(perSecond).toBeLessThan(3 * newsRate.perSecond);
});
