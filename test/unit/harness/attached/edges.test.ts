import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { mostOpenAsks, windowBytes } from '../../../../src/domain/serving-port.ts';
import { AttachedFixture, key } from '../../../support/attached-fixture.ts';
import type { Sink, Started } from '../../../support/attached-fixture.ts';
import type { FakeClock } from '../../../support/fake-clock.ts';

const lostMs = 30_000;

let clock: FakeClock;
let fixture: AttachedFixture;
beforeEach(() => {
  fixture = new AttachedFixture();
  ({ clock } = fixture);
});
const start = (number: number, sink?: Sink): Started => fixture.start(number, sink);

describe('a stop', () => {
  test('reaches the process, and the run ends as that says', async () => {
    const one = fixture.process('one');
    const { run, seen } = start(1);
    const stopping = run.stop(5000);
    expect(one.told).toEqual(['attached', 'start 1', 'stop 1']);
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'cancelled', message: 'stopped' } });
    expect(await stopping).toBe(0);
    await run.ended;
    expect(seen.end).toMatchObject({ error: { code: 'cancelled' } });
    expect(await run.stop(0)).toBe(0);
    await clock.advance(lostMs);
  });

  test('that is not followed in time leaves a run of which nobody knows', async () => {
    const one = fixture.process('one');
    const { run, seen } = start(1);
    void run.stop(5000);
    await clock.advance(4999);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { message: expect.stringContaining('did not in time') } });
    one.say(1, 1, 'late');
  });

  test('of a run that waits for room ends it unbegun', async () => {
    fixture.process('one');
    start(1);
    const { run, seen } = start(2);
    await run.stop(5000);
    expect(seen.end).toEqual({ error: { code: 'cancelled', message: expect.stringContaining('before it was handed') } });
  });

  test('meets a process that is away when it comes back', async () => {
    const one = fixture.process('one');
    const { run, seen } = start(1);
    one.serving.lost();
    void run.stop(5000);
    await clock.advance(3000);
    const again = fixture.process('one', { runs: [key(1)] });
    expect(again.told).toEqual(['attached', 'stop 1']);
    await clock.advance(4999);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true });
  });

  test('is not put off for ever by a process that comes and goes', async () => {
    fixture.process('one');
    const { run, seen } = start(1);
    void run.stop(5000);
    for (let back = 0; back < 9; back += 1) {
      await clock.advance(1000);
      fixture.process('one', { runs: [key(1)] });
    }
    expect(seen.end).toBeUndefined();
    await clock.advance(1000);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { message: expect.stringContaining('did not in time') } });
  });
});

describe('what no well-made process sends', () => {
  const refused = (what: () => void, message: RegExp): void => {
    expect(what).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringMatching(message) }));
  };

  test('a gap, an empty piece, one that is too large', () => {
    const one = fixture.process('one');
    const { sink } = start(1);
    refused(() => one.say(1, 2, 'b'), /can't follow/);
    refused(() => one.say(1, 1, ''), /1 to 32768/);
    refused(() => one.say(1, 1, 'x'.repeat(32 * 1024 + 1)), /1 to 32768/);
    expect(sink.text).toBe('');
  });

  test('more than the node can keep', () => {
    const one = fixture.process('one');
    start(1);
    let number = 0;
    const flood = (): void => {
      for (let sent = 0; sent <= 2 * windowBytes; sent += 32_768) one.say(1, (number += 1), 'x'.repeat(32_768));
    };
    refused(flood, /on the way/);
  });

  test('more questions than people could answer', () => {
    const one = fixture.process('one');
    start(1);
    const ask = (number: number): void => one.serving.receive({ type: 'ask', key: key(1), number, ask: { reason: 'input', prompt: `${number}`, choices: [] } });
    for (let number = 1; number <= mostOpenAsks; number += 1) ask(number);
    refused(() => ask(mostOpenAsks + 1), /at most/);
  });

  test('what is of no run of its own is answered with that, and changes nothing', async () => {
    const one = fixture.process('one', { concurrency: 2 });
    const two = fixture.process('two');
    const { sink } = start(1);
    two.say(1, 1, 'not mine');
    one.say(9, 1, 'unknown');
    one.serving.receive({ type: 'end', key: key(1, 2) });
    await nextTurn();
    expect(sink.text).toBe('');
    expect([one.told, two.told]).toEqual([['attached', 'start 1', 'closed 9', 'closed 1'], ['attached', 'closed 1']]);
  });

  test('what comes after the end is nobody’s', async () => {
    const one = fixture.process('one');
    const { sink, seen } = start(1);
    one.say(1, 1, 'a');
    one.end(1);
    one.say(1, 2, 'b');
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'internal', message: 'after all' } });
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a', { exitCode: 0 }]);
  });
});
