import { expect, test } from 'vitest';
import type { CloneSighting } from '../../../src/domain/mesh-port.ts';
import { Clones } from '../../../src/mesh/clones.ts';
import type { Session } from '../../../src/mesh/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

const hourMs = 3_600_000;

function setup() {
  const clock = new FakeClock();
  const told: CloneSighting[] = [];
  const lines: string[] = [];
  const clones = new Clones({ clock, log: { ...silentLog, error: (_fields, message) => void lines.push(message) }, onSeen: (sighting) => void told.push(sighting) });
  return { clock, told, lines, clones };
}

const session = (peer: number, address: string, addresses: readonly string[] = []) => ({ peer: { nodeId: nodeIdFor(peer), name: `node-${peer}` }, path: 'inbound', address, hello: { addresses } }) as unknown as Session;

test('however often a copy is refused, from whatever ports and with whatever addresses, it is told once, and once more after an hour without it', async () => {
  const { clock, told, lines, clones } = setup();
  const first = session(1, '10.0.0.1:7423');
  for (let times = 0; times < 500; times += 1) {
    const words = clones.seen(first, session(1, `10.0.0.2:${times}`, times % 2 === 0 ? [] : [`10.0.0.2:${40_000 + times}`]));
    // Who is refused is told its own place each time.
    expect(words).toContain(`at 10.0.0.2:${times % 2 === 0 ? times : 40_000 + times} (refused)`);
    await clock.advance(30_000);
  }
  expect(told).toMatchObject([{ nodeId: nodeIdFor(1), kept: '10.0.0.1:7423', refused: '10.0.0.2:0' }]);
  expect(lines).toHaveLength(1);
  expect(clones.list()).toMatchObject([{ refused: '10.0.0.2:40499', firstMs: told[0]?.firstMs, lastMs: clock.now() - 30_000 }]);
  await clock.advance(hourMs + 1);
  expect(clones.list()).toEqual([]);
  clones.seen(first, session(1, '10.0.0.2:1'));
  expect([told.length, lines.length]).toEqual([2, 2]);
});

test('the copy of one node hides that of no other, and more of them than are remembered are no more often told', () => {
  const { told, clones } = setup();
  for (let times = 0; times < 3; times += 1) for (let peer = 1; peer <= 150; peer += 1) clones.seen(session(peer, '10.0.0.1:1'), session(peer, `10.0.0.2:${times}`));
  expect(told.map(({ nodeId }) => nodeId)).toEqual(Array.from({ length: 150 }, (_, index) => nodeIdFor(index + 1)));
});
