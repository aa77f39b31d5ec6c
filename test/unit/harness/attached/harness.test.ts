import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { AttachedHarness } from '../../../../src/harness/attached/harness.ts';
import { address, AttachedFixture, endpoint, key, Sink } from '../../../support/attached-fixture.ts';
import type { Started } from '../../../support/attached-fixture.ts';
import type { FakeClock } from '../../../support/fake-clock.ts';

const lostMs = 30_000;

let clock: FakeClock;
let harness: AttachedHarness;
let fixture: AttachedFixture;
beforeEach(() => {
  fixture = new AttachedFixture();
  ({ clock, harness } = fixture);
});
const start = (number: number, sink?: Sink): Started => fixture.start(number, sink);

describe('an attached agent', () => {
  test('is available while a process that takes runs is connected, and no longer', async () => {
    expect(await harness.check(endpoint)).toEqual({ available: false, why: 'no process serves it now' });
    const one = fixture.process('one');
    const two = fixture.process('two');
    expect(await harness.check(endpoint)).toEqual({ available: true });
    one.serving.lost();
    expect(await harness.check(endpoint)).toEqual({ available: true });
    two.serving.receive({ type: 'drain' });
    expect(await harness.check(endpoint)).toMatchObject({ available: false });
    expect(fixture.changes).toBe(4);
  });

  test('is told of each change, and the process when all can see it', async () => {
    const one = fixture.process('one');
    expect(one.heard.map(({ type }) => type)).toEqual(['attached']);
    await nextTurn();
    expect(one.heard.map(({ type }) => type)).toEqual(['attached', 'listed']);
  });

  test('takes as many runs as its processes do together', () => {
    expect(harness.concurrency(address)).toBe(0);
    fixture.process('one', { concurrency: 3 });
    const two = fixture.process('two', { concurrency: 2 });
    expect(harness.concurrency(address)).toBe(5);
    two.serving.lost();
    expect(harness.concurrency(address)).toBe(3);
  });

  test('a run whose process is away takes no place from the others', () => {
    const one = fixture.process('one');
    start(1);
    expect(one.told).toEqual(['attached', 'start 1']);
    one.serving.lost();
    expect(harness.concurrency(address)).toBe(1);
    fixture.process('two');
    expect(harness.concurrency(address)).toBe(2);
  });

  test('with a command is not one', async () => {
    fixture.process('one');
    expect(await harness.check({ ...endpoint, argv: ['cat'] })).toMatchObject({ available: false, why: expect.stringContaining('no command') });
  });

  test('that is called otherwise keeps its processes and their runs, and they are told its name', async () => {
    const one = fixture.process('one', { concurrency: 2 });
    const first = start(1);
    const to = address.replace('laptop', 'studio');
    harness.renamed(address, to);
    expect(one.heard.at(-1)).toEqual({ type: 'attached', address: to, runs: [] });
    expect(await harness.check({ ...endpoint, address: to })).toEqual({ available: true });
    expect(await harness.check(endpoint)).toMatchObject({ available: false });
    expect(harness.concurrency(to)).toBe(2);
    one.say(1, 1, 'done');
    one.end(1);
    await nextTurn();
    expect(first.sink.text).toBe('done');
    one.serving.lost();
    expect(await harness.check({ ...endpoint, address: to })).toMatchObject({ available: false });
  });

  test('tells its processes that it was removed', () => {
    const one = fixture.process('one');
    harness.removed(address);
    expect(one.told).toEqual(['attached', 'removed']);
  });
});

describe('a run', () => {
  test('goes to the least busy process with room, and waits when none has any', async () => {
    const one = fixture.process('one', { concurrency: 2 });
    const two = fixture.process('two', { concurrency: 1 });
    for (const number of [1, 2, 3, 4]) start(number);
    expect([one.told, two.told]).toEqual([['attached', 'start 1', 'start 3'], ['attached', 'start 2']]);
    one.end(3);
    await nextTurn();
    expect(one.told).toEqual(['attached', 'start 1', 'start 3', 'start 4']);
  });

  test('has all that its process said, in order, and ends cleanly after it', async () => {
    const one = fixture.process('one');
    const { seen, sink } = start(1);
    one.say(1, 1, 'a');
    one.serving.receive({ type: 'piece', key: key(1), number: 2, piece: { progress: { kind: 'thought', text: 'b' } } });
    one.serving.receive({ type: 'session', key: key(1), name: 'mine' });
    one.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a<thought>(mine)', { exitCode: 0 }]);
  });

  test('fails with its process’s words, and its own exit code', async () => {
    const one = fixture.process('one');
    const { seen } = start(1);
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'internal', message: 'no such file' } });
    await nextTurn();
    expect(seen.end).toEqual({ exitCode: 1, error: { code: 'internal', message: 'no such file' } });
  });

  test('where nobody ever served ends at once; where somebody just did it waits 30 s for another', async () => {
    const alone = start(1);
    await nextTurn();
    expect(alone.seen.end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('no process serves it now') } });
    fixture.process('one').serving.lost();
    const waiting = start(2);
    await clock.advance(lostMs - 1);
    expect(waiting.seen.end).toBeUndefined();
    await clock.advance(1);
    expect(waiting.seen.end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('had room') } });
    expect(waiting.seen.end?.isUnknown).toBeUndefined();
  });

  test('the store’s failure ends it and stops its process', async () => {
    const one = fixture.process('one');
    const sink = new Sink();
    sink.output = () => Promise.reject(new Error('disk full'));
    const { seen } = start(1, sink);
    one.say(1, 1, 'a');
    await nextTurn();
    expect(seen.end).toMatchObject({ error: { code: 'internal' } });
    expect(one.told).toEqual(['attached', 'start 1', 'stop 1']);
  });

  test('its process is told what is durable, and when it may forget it', async () => {
    const one = fixture.process('one');
    const { run } = start(1);
    one.say(1, 1, 'a');
    one.say(1, 2, 'b');
    run.stored?.(1);
    one.end(1);
    await run.ended;
    run.stored?.(2);
    run.settled?.();
    expect(one.told).toEqual(['attached', 'start 1', 'stored 1:1', 'closed 1']);
  });
});

describe('a process that comes back', () => {
  test('goes on where it was: nothing is lost and nothing twice', async () => {
    const one = fixture.process('one');
    const { seen, sink } = start(1);
    one.say(1, 1, 'a');
    one.say(1, 2, 'b');
    one.serving.lost();
    await clock.advance(lostMs - 1);
    const again = fixture.process('one', { runs: [key(1)] });
    expect(again.heard[0]).toEqual({ type: 'attached', address, runs: [{ ...key(1), received: 2 }] });
    again.say(1, 2, 'b');
    again.say(1, 3, 'c');
    again.end(1);
    await clock.advance(lostMs);
    expect([sink.text, seen.end]).toEqual(['abc', { exitCode: 0 }]);
    expect(again.told).toEqual(['attached']);
  });

  test('is told again what is durable, since it may wait for that with nothing left to say', () => {
    const one = fixture.process('one');
    const { run } = start(1);
    one.say(1, 1, 'a');
    one.say(1, 2, 'b');
    one.serving.lost();
    run.stored?.(2);
    expect(fixture.process('one', { runs: [key(1)] }).told).toEqual(['attached', 'stored 1:2']);
  });

  test('while its old connection still stands takes its place', async () => {
    const one = fixture.process('one');
    const { seen, sink } = start(1);
    const again = fixture.process('one', { runs: [key(1)] });
    expect(one.closedWith).toMatchObject({ code: 'unavailable' });
    one.serving.lost();
    again.say(1, 1, 'a');
    again.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a', { exitCode: 0 }]);
  });

  test('without a run that it was sent never had it: it is sent again, to whoever has room', async () => {
    const one = fixture.process('one');
    start(1);
    one.serving.lost();
    const two = fixture.process('two');
    expect(two.told).toEqual(['attached']);
    fixture.process('one', { concurrency: 1 });
    expect(two.told).toEqual(['attached', 'start 1']);
  });

  test('with runs that are over, or not its own, is told to forget them', async () => {
    const one = fixture.process('one');
    start(1);
    const two = fixture.process('two', { runs: [key(1), key(7), { ...key(1), run: 2 }] });
    expect(two.told).toEqual(['attached', 'closed 1', 'closed 7', 'closed 1']);
    expect(one.told).toEqual(['attached', 'start 1']);
  });

  test('is not told to forget a run whose end is not durable yet', async () => {
    const one = fixture.process('one');
    const { run } = start(1);
    one.end(1);
    await run.ended;
    const again = fixture.process('one', { runs: [key(1)] });
    expect(again.told).toEqual(['attached']);
    run.settled?.();
    expect(again.told).toEqual(['attached', 'closed 1']);
  });

  test('hears the answer that it missed, and a question asked again is one question', async () => {
    const one = fixture.process('one');
    const { sink } = start(1);
    const ask = { type: 'ask', key: key(1), number: 1, ask: { reason: 'approval', prompt: 'may I?', choices: [] } } as const;
    one.serving.receive(ask);
    one.serving.lost();
    sink.answer.resolve({ kind: 'approved', by: 'ada' });
    await nextTurn();
    const again = fixture.process('one', { runs: [key(1)] });
    again.serving.receive(ask);
    expect(sink.asked).toEqual(['may I?']);
    expect(again.heard.filter(({ type }) => type === 'answer')).toEqual(Array(2).fill({ type: 'answer', key: key(1), ask: 1, answer: { kind: 'approved', by: 'ada' } }));
  });

  test('after 30 s finds its run ended: nobody knows what it did', async () => {
    const one = fixture.process('one');
    const { run, seen } = start(1);
    one.serving.lost();
    await clock.advance(lostMs);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { code: 'unavailable', message: expect.stringContaining('went away') } });
    run.settled?.();
    expect(fixture.process('one', { runs: [key(1)] }).told).toEqual(['attached', 'closed 1']);
  });
});

describe('a run that outlived its node', () => {
  const adopt = (pieces: number): Started => fixture.adopt(pieces);

  test('goes on with the process that knows it, from the piece after the last durable one', async () => {
    const { run, sink, seen } = adopt(2);
    const two = fixture.process('two');
    expect(two.told).toEqual(['attached']);
    const one = fixture.process('one', { runs: [key(1)] });
    expect(one.heard[0]).toMatchObject({ runs: [{ received: 2 }] });
    one.say(1, 2, 'b');
    one.say(1, 3, 'c');
    run.stored?.(1);
    one.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['c', { exitCode: 0 }]);
    expect(one.told).toEqual(['attached', 'stored 1:2', 'stored 1:3']);
  });

  test('ends after 30 s when nobody knows it', async () => {
    const { seen } = adopt(0);
    fixture.process('two');
    await clock.advance(lostMs - 1);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { message: expect.stringContaining('no process came back') } });
  });

  test('ends when its node has lost a part of it: the rest is no answer', async () => {
    const { seen, sink } = adopt(2);
    const one = fixture.process('one', { runs: [key(1)] });
    one.say(1, 5, 'e');
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['', { isUnknown: true, error: expect.objectContaining({ message: expect.stringContaining('lost a part') }) }]);
    expect(one.told).toEqual(['attached', 'stored 1:2', 'stop 1']);
  });

  test('is with one process only, once one has claimed it', () => {
    adopt(0);
    fixture.process('one', { runs: [key(1)] });
    expect(fixture.process('two', { runs: [key(1)] }).told).toEqual(['attached', 'closed 1']);
  });
});
