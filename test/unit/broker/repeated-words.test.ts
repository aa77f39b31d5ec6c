/** What a peer can say as often as it likes, of what is kept for good. */
import { expect, test } from 'vitest';
import { Links } from '../../../src/broker/links.ts';
import type { LinksParts } from '../../../src/broker/links.ts';
import { Rollback } from '../../../src/broker/rollback.ts';
import type { RollbackParts } from '../../../src/broker/rollback.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { StoreWrites } from '../../../src/domain/store-port.ts';
import type { PeerIdentity } from '../../../src/domain/trust.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

const hourMs = 3_600_000;
const peer = (number: number) => ({ nodeId: nodeIdFor(number), name: `node-${number}`, owner: 'ada' }) as PeerIdentity;

function setup() {
  const clock = new FakeClock();
  const facts: string[] = [];
  const lines: string[] = [];
  const note: StoreWrites['note'] = ({ what, peerNodeId }) => Promise.resolve(void facts.push(`${what} ${[1, 2].findIndex((each) => nodeIdFor(each) === peerNodeId) + 1}`));
  const store = { write: { note }, read: { seenEpochs: () => [50, 40], quarantined: () => [] } };
  const parts = { store, clock, chronicler: { stamp: () => ({}) }, log: { ...silentLog, warn: (_fields: unknown, message: string) => void lines.push(message) } };
  return { clock, facts, lines, parts };
}

test('a peer that refuses this node as a copy is told of at once, and again after an hour, whatever reasons it gives meanwhile', async () => {
  const { clock, facts, parts } = setup();
  const links = new Links(parts as unknown as LinksParts);
  for (let times = 0; times < 100; times += 1) links.onRefusedAsClone(peer(1), `reason ${times}`);
  links.onRefusedAsClone(peer(2), 'reason');
  expect(facts).toEqual(['node.refused 1', 'node.refused 2']);
  await clock.advance(hourMs);
  links.onRefusedAsClone(peer(1), 'reason');
  expect(facts).toHaveLength(3);
  await links.settled();
});

test('a peer that says with each link that its store was put back is told of at once, and again after an hour', async () => {
  const { clock, facts, lines, parts } = setup();
  const rollback = new Rollback({ ...parts, self: {}, runner: {} } as unknown as RollbackParts);
  const up = (number: number, previousEpoch: number) => rollback.linkUp({ peer: peer(number), previousEpoch, epoch: 60, seenEpochs: [], isUp: true } as unknown as Link);
  for (let times = 0; times < 100; times += 1) await up(1, times % 40);
  await up(2, 3);
  expect(facts).toEqual(['peer.rolled_back 1', 'peer.rolled_back 2']);
  expect(lines).toHaveLength(2);
  await clock.advance(hourMs);
  await up(1, 3);
  expect([facts.length, lines.length]).toEqual([3, 3]);
});
