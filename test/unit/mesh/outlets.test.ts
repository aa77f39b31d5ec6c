import { expect, test } from 'vitest';
import type { InvocationId } from '../../../src/domain/ids.ts';
import { ControlFrame } from '../../../src/gen/beckon/v1/mesh.ts';
import { ControlOutlet } from '../../../src/mesh/control-outlet.ts';
import { DataOutlet } from '../../../src/mesh/data-outlet.ts';

const invocationId = 'inv_01J0000000000000000000000A' as InvocationId;

test('a peer that asks for answers to heartbeats and reads none costs no memory, and still hears this node’s own and its goodbye', () => {
  const outlet = new ControlOutlet();
  for (let number = 0; number < 10_000; number += 1) outlet.addUrgent({ $case: 'heartbeatReply', value: { number } });
  outlet.addUrgent({ $case: 'heartbeat', value: { number: 1, digest: Buffer.alloc(0), gossips: false, holds: true } });
  const kinds: (string | undefined)[] = [];
  for (let frame = outlet.pull(); frame !== undefined; frame = outlet.pull()) kinds.push(ControlFrame.decode(frame).frame?.$case);
  expect(kinds.length).toBeLessThan(100);
  expect(kinds.at(-1)).toBe('heartbeat');
});

test('a heartbeat leaves before all that was queued for the peer', () => {
  const outlet = new ControlOutlet();
  for (let index = 0; index < 100; index += 1) outlet.add({ $case: 'receipt', value: { invocationId, receivedAtMs: 1, hlc: '' } });
  outlet.addUrgent({ $case: 'heartbeatReply', value: { number: 7 } });
  expect(ControlFrame.decode(outlet.pull() ?? new Uint8Array()).frame?.$case).toBe('heartbeatReply');
});

test('a task is known to be on its way until its last piece has left', () => {
  const outlet = new DataOutlet();
  outlet.addTask(invocationId, [new Uint8Array(100_000)]);
  const pulled: boolean[] = [];
  for (let frame = outlet.pull(); frame !== undefined; frame = outlet.pull()) pulled.push(outlet.isSending(invocationId));
  expect(pulled).toEqual([true, true, true, false]);
});

test('events in the outlet are bounded: whoever adds more waits until the peer has taken some', async () => {
  const outlet = new DataOutlet();
  const event = () => outlet.addEvents({ invocationId, receivedAtMs: 1, events: [{ seq: 1, atMs: 1, hlc: '', body: { $case: 'output', value: { stream: 1, content: Buffer.alloc(64 * 1024) } } }] });
  for (let index = 0; index < 17; index += 1) event();
  let hasRoom = false;
  const room = outlet.room().then(() => (hasRoom = true));
  await Promise.resolve();
  expect(hasRoom).toBe(false);
  while (outlet.pull() !== undefined);
  await room;
  expect(hasRoom).toBe(true);
});
