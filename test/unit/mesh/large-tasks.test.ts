import { describe, expect, test } from 'vitest';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import fc from 'fast-check';
import type { Invocation } from '../../../src/domain/invocation.ts';
import type { PeerMessage } from '../../../src/domain/messages.ts';
import { Task } from '../../../src/gen/beckon/v1/record.ts';
import { encodeForward } from '../../../src/mesh/control-frames.ts';
import { Inflow } from '../../../src/mesh/inflow.ts';
import { TaskRoom } from '../../../src/rpc/task-room.ts';
import { encodeTask } from '../../../src/rpc/work.ts';
import * as samples from '../rpc/samples.ts';

describe('room for tasks in pieces', () => {
  test('is given in order, and never more than there is', () => {
    const room = new TaskRoom(100);
    const granted: string[] = [];
    const take = (name: string, bytes: number) => room.take(bytes, () => granted.push(name));
    const [first, second, third] = [take('first', 60), take('second', 60), take('third', 10)];
    expect([first, second, third].map(({ isGranted }) => isGranted)).toEqual([true, false, false]);
    first.release();
    expect(granted).toEqual(['second', 'third']);
    second.release();
    second.release();
    third.release();
    expect(take('fourth', 100).isGranted).toBe(true);
  });

  test('is given to one that is larger than all of it, alone', () => {
    const room = new TaskRoom(100);
    const large = room.take(1000, () => undefined);
    expect(large.isGranted).toBe(true);
    expect(room.take(1, () => undefined).isGranted).toBe(false);
  });

  test('of one that went away while it waited is not kept for it', () => {
    const room = new TaskRoom(100);
    const first = room.take(100, () => undefined);
    const gone = room.take(100, () => undefined);
    const last = room.take(100, () => undefined);
    gone.release();
    first.release();
    expect(last.isGranted).toBe(true);
  });
});

const [one, other] = fc.sample(samples.invocation, { numRuns: 2, seed: 5 }) as [Invocation, Invocation];
const hlc = encodeHlc({ ms: 1, counter: 1 });
const task = { text: new Uint8Array(90_000), files: [] };
const encoded = Task.encode(encodeTask(task)).finish();
const events = (bytes: number): Parameters<Inflow['events']> => [{ invocationId: one.id, receivedAtMs: 1, events: [] }, bytes];

/** A peer of a node that has room for one such task. */
function peer(room: TaskRoom) {
  const delivered: PeerMessage[] = [];
  let isReading = true;
  let readsControl = true;
  let store = (): void => undefined;
  const inflow = new Inflow({
    deliver: (message) => {
      delivered.push(message);
      return new Promise((resolve) => (store = resolve));
    },
    onFault: (error) => {
      throw error;
    },
    readData: (reads) => (isReading = reads),
    readControl: (reads) => (readsControl = reads),
    room,
  });
  const announce = (invocation: Invocation): void => {
    const frame = encodeForward({ type: 'forward', invocation, task, attempt: 1, hlc }, encoded.length);
    if (frame?.$case === 'forward') inflow.control(frame, 500);
  };
  const send = (invocation: Invocation): void => {
    for (let offset = 0; offset < encoded.length; offset += 30_000) inflow.piece({ invocationId: invocation.id, offset, content: Buffer.from(encoded.subarray(offset, offset + 30_000)) });
  };
  return { inflow, delivered, announce, send, isReading: () => isReading, readsControl: () => readsControl, stored: () => store() };
}

test('a peer whose large task finds no room is not read until another’s is stored', async () => {
  const room = new TaskRoom(encoded.length);
  const [first, second] = [peer(room), peer(room)];
  first.announce(one);
  second.announce(other);
  expect([first.isReading(), second.isReading()]).toEqual([true, false]);
  first.send(one);
  expect(first.delivered).toHaveLength(1);
  expect(second.isReading()).toBe(false);
  first.stored();
  await expect.poll(second.isReading).toBe(true);
});

test('a peer that goes away in the middle of a large task gives its room back', () => {
  const room = new TaskRoom(encoded.length);
  const [first, second] = [peer(room), peer(room)];
  first.announce(one);
  second.announce(other);
  first.inflow.close();
  expect(second.isReading()).toBe(true);
});

test('large tasks and events that wait for the disk hold up the data stream, and never the one that heartbeats come by', () => {
  const sender = peer(new TaskRoom());
  for (let count = 0; count < 10; count += 1) sender.inflow.events(...events(16 * 1024 * 1024));
  expect([sender.isReading(), sender.readsControl()]).toEqual([false, true]);
});
