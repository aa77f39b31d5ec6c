import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RunOutbox } from '../../../src/client/run-outbox.ts';
import { flightIdOf } from '../../../src/domain/ids.ts';
import { windowBytes } from '../../../src/domain/serving-port.ts';
import type { FromServer } from '../../../src/domain/serving-port.ts';

type Message = Exclude<FromServer, { type: 'drain' }>;
const key = { flightId: flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'), run: 1 };
const piece = (number: number, size = 10): Message => ({ type: 'piece', key, number, piece: { stream: 'stdout', bytes: new Uint8Array(size) } });
const ask = (number: number): Message => ({ type: 'ask', key, number, ask: { reason: 'input', prompt: '?', choices: [] } });
const end: Message = { type: 'end', key };
const named = (message: Message): string => (message.type === 'piece' || message.type === 'ask' ? `${message.type} ${message.number}` : message.type === 'session' ? `session ${message.name}` : message.type);

function setUp(): { outbox: RunOutbox; sent: string[] } {
  const sent: string[] = [];
  return { outbox: new RunOutbox((message) => sent.push(named(message))), sent };
}

describe('what a run says', () => {
  test('goes out at once and in order', () => {
    const { outbox, sent } = setUp();
    for (const message of [piece(1), ask(1), piece(2), end]) outbox.add(message);
    expect(sent).toEqual(['piece 1', 'ask 1', 'piece 2', 'end']);
  });

  test('waits when the window is full, with all that stands behind it, until the node has enough on disk', () => {
    const { outbox, sent } = setUp();
    const half = windowBytes / 2;
    for (const message of [piece(1, half), piece(2, half), ask(1), end]) outbox.add(message);
    expect([sent, outbox.hasRoom]).toEqual([['piece 1'], false]);
    outbox.stored(1);
    expect([sent, outbox.hasRoom]).toEqual([['piece 1', 'piece 2', 'ask 1', 'end'], true]);
  });

  test('goes out however large it is, when nothing else is on its way', () => {
    const { outbox, sent } = setUp();
    outbox.add(piece(1, 2 * windowBytes));
    expect(sent).toEqual(['piece 1']);
  });

  test('is said again on a new connection, but for what the node has', () => {
    const { outbox, sent } = setUp();
    for (const message of [piece(1), piece(2), ask(1), ask(2), piece(3), end]) outbox.add(message);
    outbox.stored(1);
    outbox.answered(1);
    sent.length = 0;
    outbox.resume(2);
    expect(sent).toEqual(['ask 2', 'piece 3', 'end']);
  });

  test('names the session by its last name only', () => {
    const { outbox, sent } = setUp();
    for (const name of ['a', 'b']) outbox.add({ type: 'session', key, name });
    sent.length = 0;
    outbox.resume(0);
    expect(sent).toEqual(['session b']);
  });

  test('is forgotten when it is closed', () => {
    const { outbox, sent } = setUp();
    outbox.add(piece(1));
    outbox.close();
    outbox.add(piece(2));
    outbox.resume(0);
    expect([sent, outbox.hasRoom]).toEqual([['piece 1'], true]);
  });

  test('arrives once and in order, whatever is lost between connections and however late the node’s disk is', () => {
    const step = fc.oneof({ weight: 4, arbitrary: fc.constant('add' as const) }, fc.constant('lose' as const), fc.constant('store' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 0, max: windowBytes }), (steps, size) => {
        let isUp = true;
        let [received, stored, added] = [0, 0, 0];
        const outbox = new RunOutbox((message) => {
          if (!isUp || message.type !== 'piece' || message.number <= received) return;
          expect(message.number).toBe(received + 1);
          received = message.number;
        });
        for (const each of steps) {
          if (each === 'add') outbox.add(piece((added += 1), size));
          if (each === 'store') outbox.stored((stored = received));
          if (each === 'lose') {
            isUp = !isUp;
            // A node that died has what was on disk; one that did not has all that arrived.
            received = added % 2 === 0 ? stored : received;
            if (isUp) outbox.resume(received);
          }
        }
        isUp = true;
        outbox.resume(received);
        for (let rounds = 0; rounds <= added; rounds += 1) outbox.stored(received);
        expect(received).toBe(added);
      }),
    );
  });
});
