import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { RunEnd, RunSink } from '../../../../src/domain/harness-port.ts';
import { flightIdOf, invocationIdOf } from '../../../../src/domain/ids.ts';
import type { FlightId } from '../../../../src/domain/ids.ts';
import type { Endpoint } from '../../../../src/domain/invocation.ts';
import { mostOpenAsks, windowBytes } from '../../../../src/domain/serving-port.ts';
import type { Attach, RunKey, ServerLink, Serving, ToServer } from '../../../../src/domain/serving-port.ts';
import { AttachedHarness } from '../../../../src/harness/attached/harness.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const address = '@echo@laptop#main';
const endpoint = { agentId: 'agt_01J9Z6M3T4V8Q2X7K5B1C0D9EF', address, harness: 'attached', cwd: '/', argv: [], env: [], path: '', permissions: 'ask', isolate: false } as unknown as Endpoint;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const ulid = (number: number): string => `01J9Z6M3T4V8Q2X7K5B1C0${String(number).padStart(4, '0')}`;
const key = (number: number, run = 1): RunKey => ({ flightId: flightIdOf(ulid(number)), run });
const lostMs = 30_000;

class Process implements ServerLink {
  readonly heard: ToServer[] = [];
  closedWith: Error | undefined;
  serving!: Serving;
  readonly id: string;

  constructor(id: string, attach: Partial<Attach> = {}) {
    this.id = id;
    this.serving = harness.attach({ address, serverId: id, concurrency: 1, runs: [], ...attach }, this);
  }

  send(message: ToServer): void {
    this.heard.push(message);
  }

  close(error: Error): void {
    this.closedWith = error;
  }

  /** What it was told, but for what is of no matter here. */
  get told(): string[] {
    return this.heard.flatMap((each) => (each.type === 'listed' ? [] : `${each.type}${'key' in each ? ` ${each.key.flightId.slice(-1)}` : ''}${each.type === 'start' ? ` ${each.run.flightId.slice(-1)}` : ''}${each.type === 'stored' ? `:${each.pieces}` : ''}`));
  }

  say(number: number, at: number, text: string): void {
    this.serving.receive({ type: 'piece', key: key(number), number: at, piece: { stream: 'stdout', bytes: utf8(text) } });
  }

  end(number: number): void {
    this.serving.receive({ type: 'end', key: key(number) });
  }
}

class Sink implements RunSink {
  text = '';
  readonly asked: string[] = [];
  answer = Promise.withResolvers<{ kind: 'approved'; by: string }>();
  output: RunSink['output'] = async (_stream, bytes) => void (this.text += new TextDecoder().decode(bytes));
  progress: RunSink['progress'] = async ({ kind }) => void (this.text += `<${kind}>`);
  bindSession: RunSink['bindSession'] = async (name) => void (this.text += `(${name})`);
  ask: RunSink['ask'] = ({ prompt }) => {
    this.asked.push(prompt);
    return this.answer.promise;
  };
}

let clock: FakeClock;
let harness: AttachedHarness;
let changes: number;
beforeEach(() => {
  clock = new FakeClock();
  changes = 0;
  harness = new AttachedHarness({ clock, onServersChanged: async () => void (changes += 1) });
});

function start(number: number, sink: RunSink = new Sink()) {
  const run = harness.start(requestOf(number), sink);
  const seen: { end?: RunEnd } = {};
  void run.ended.then((end) => (seen.end = end));
  return { run, sink: sink as Sink, seen };
}

const requestOf = (number: number) => ({
  invocationId: invocationIdOf(ulid(number)), flightId: flightIdOf(ulid(number)), run: 1, endpoint, task: { text: utf8(`task ${number}`), files: [] }, flightEnv: { BECKON_TOKEN: 't' },
});

describe('an attached agent', () => {
  test('is available while a process that takes runs is connected, and no longer', async () => {
    expect(await harness.check(endpoint)).toEqual({ available: false, why: 'no process serves it now' });
    const one = new Process('one');
    const two = new Process('two');
    expect(await harness.check(endpoint)).toEqual({ available: true });
    one.serving.lost();
    expect(await harness.check(endpoint)).toEqual({ available: true });
    two.serving.receive({ type: 'drain' });
    expect(await harness.check(endpoint)).toMatchObject({ available: false });
    expect(changes).toBe(4);
  });

  test('is told of each change, and the process when all can see it', async () => {
    const one = new Process('one');
    expect(one.heard.map(({ type }) => type)).toEqual(['attached']);
    await nextTurn();
    expect(one.heard.map(({ type }) => type)).toEqual(['attached', 'listed']);
  });

  test('takes as many runs as its processes do together', () => {
    expect(harness.concurrency(address)).toBe(0);
    new Process('one', { concurrency: 3 });
    const two = new Process('two', { concurrency: 2 });
    expect(harness.concurrency(address)).toBe(5);
    two.serving.lost();
    expect(harness.concurrency(address)).toBe(3);
  });

  test('a run whose process is away takes no place from the others', () => {
    const one = new Process('one');
    start(1);
    expect(one.told).toEqual(['attached', 'start 1']);
    one.serving.lost();
    expect(harness.concurrency(address)).toBe(1);
    new Process('two');
    expect(harness.concurrency(address)).toBe(2);
  });

  test('with a command is not one', async () => {
    new Process('one');
    expect(await harness.check({ ...endpoint, argv: ['cat'] })).toMatchObject({ available: false, why: expect.stringContaining('no command') });
  });

  test('tells its processes that it was removed', () => {
    const one = new Process('one');
    harness.removed(address);
    expect(one.told).toEqual(['attached', 'removed']);
  });
});

describe('a run', () => {
  test('goes to the least busy process with room, and waits when none has any', async () => {
    const one = new Process('one', { concurrency: 2 });
    const two = new Process('two', { concurrency: 1 });
    for (const number of [1, 2, 3, 4]) start(number);
    expect([one.told, two.told]).toEqual([['attached', 'start 1', 'start 3'], ['attached', 'start 2']]);
    one.end(3);
    await nextTurn();
    expect(one.told).toEqual(['attached', 'start 1', 'start 3', 'start 4']);
  });

  test('has all that its process said, in order, and ends cleanly after it', async () => {
    const one = new Process('one');
    const { seen, sink } = start(1);
    one.say(1, 1, 'a');
    one.serving.receive({ type: 'piece', key: key(1), number: 2, piece: { progress: { kind: 'thought', text: 'b' } } });
    one.serving.receive({ type: 'session', key: key(1), name: 'mine' });
    one.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a<thought>(mine)', { exitCode: 0 }]);
  });

  test('fails with its process’s words, and its own exit code', async () => {
    const one = new Process('one');
    const { seen } = start(1);
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'internal', message: 'no such file' } });
    await nextTurn();
    expect(seen.end).toEqual({ exitCode: 1, error: { code: 'internal', message: 'no such file' } });
  });

  test('where nobody ever served ends at once; where somebody just did it waits 30 s for another', async () => {
    const alone = start(1);
    await nextTurn();
    expect(alone.seen.end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('no process serves it now') } });
    new Process('one').serving.lost();
    const waiting = start(2);
    await clock.advance(lostMs - 1);
    expect(waiting.seen.end).toBeUndefined();
    await clock.advance(1);
    expect(waiting.seen.end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('had room') } });
    expect(waiting.seen.end?.isUnknown).toBeUndefined();
  });

  test('the store’s failure ends it and stops its process', async () => {
    const one = new Process('one');
    const sink = new Sink();
    sink.output = () => Promise.reject(new Error('disk full'));
    const { seen } = start(1, sink);
    one.say(1, 1, 'a');
    await nextTurn();
    expect(seen.end).toMatchObject({ error: { code: 'internal' } });
    expect(one.told).toEqual(['attached', 'start 1', 'stop 1']);
  });

  test('its process is told what is durable, and when it may forget it', async () => {
    const one = new Process('one');
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
    const one = new Process('one');
    const { seen, sink } = start(1);
    one.say(1, 1, 'a');
    one.say(1, 2, 'b');
    one.serving.lost();
    await clock.advance(lostMs - 1);
    const again = new Process('one', { runs: [key(1)] });
    expect(again.heard[0]).toEqual({ type: 'attached', address, runs: [{ ...key(1), received: 2 }] });
    again.say(1, 2, 'b');
    again.say(1, 3, 'c');
    again.end(1);
    await clock.advance(lostMs);
    expect([sink.text, seen.end]).toEqual(['abc', { exitCode: 0 }]);
    expect(again.told).toEqual(['attached']);
  });

  test('while its old connection still stands takes its place', async () => {
    const one = new Process('one');
    const { seen, sink } = start(1);
    const again = new Process('one', { runs: [key(1)] });
    expect(one.closedWith).toMatchObject({ code: 'unavailable' });
    one.serving.lost();
    again.say(1, 1, 'a');
    again.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a', { exitCode: 0 }]);
  });

  test('without a run that it was sent never had it: it is sent again, to whoever has room', async () => {
    const one = new Process('one');
    start(1);
    one.serving.lost();
    const two = new Process('two');
    expect(two.told).toEqual(['attached']);
    new Process('one', { concurrency: 1 });
    expect(two.told).toEqual(['attached', 'start 1']);
  });

  test('with runs that are over, or not its own, is told to forget them', async () => {
    const one = new Process('one');
    start(1);
    const two = new Process('two', { runs: [key(1), key(7), { ...key(1), run: 2 }] });
    expect(two.told).toEqual(['attached', 'closed 1', 'closed 7', 'closed 1']);
    expect(one.told).toEqual(['attached', 'start 1']);
  });

  test('is not told to forget a run whose end is not durable yet', async () => {
    const one = new Process('one');
    const { run } = start(1);
    one.end(1);
    await run.ended;
    const again = new Process('one', { runs: [key(1)] });
    expect(again.told).toEqual(['attached']);
    run.settled?.();
    expect(again.told).toEqual(['attached', 'closed 1']);
  });

  test('hears the answer that it missed, and a question asked again is one question', async () => {
    const one = new Process('one');
    const { sink } = start(1);
    const ask = { type: 'ask', key: key(1), number: 1, ask: { reason: 'approval', prompt: 'may I?', choices: [] } } as const;
    one.serving.receive(ask);
    one.serving.lost();
    sink.answer.resolve({ kind: 'approved', by: 'ada' });
    await nextTurn();
    const again = new Process('one', { runs: [key(1)] });
    again.serving.receive(ask);
    expect(sink.asked).toEqual(['may I?']);
    expect(again.heard.filter(({ type }) => type === 'answer')).toEqual(Array(2).fill({ type: 'answer', key: key(1), ask: 1, answer: { kind: 'approved', by: 'ada' } }));
  });

  test('after 30 s finds its run ended: nobody knows what it did', async () => {
    const one = new Process('one');
    const { run, seen } = start(1);
    one.serving.lost();
    await clock.advance(lostMs);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { code: 'unavailable', message: expect.stringContaining('went away') } });
    run.settled?.();
    expect(new Process('one', { runs: [key(1)] }).told).toEqual(['attached', 'closed 1']);
  });
});

describe('a run that outlived its node', () => {
  const adopt = (pieces: number, sink = new Sink()) => {
    const run = harness.adopt(requestOf(1), sink, pieces);
    const seen: { end?: RunEnd } = {};
    void run.ended.then((end) => (seen.end = end));
    return { run, sink, seen };
  };

  test('goes on with the process that knows it, from the piece after the last durable one', async () => {
    const { run, sink, seen } = adopt(2);
    const two = new Process('two');
    expect(two.told).toEqual(['attached']);
    const one = new Process('one', { runs: [key(1)] });
    expect(one.heard[0]).toMatchObject({ runs: [{ received: 2 }] });
    one.say(1, 2, 'b');
    one.say(1, 3, 'c');
    run.stored?.(1);
    one.end(1);
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['c', { exitCode: 0 }]);
    expect(one.told).toEqual(['attached', 'stored 1:3']);
  });

  test('ends after 30 s when nobody knows it', async () => {
    const { seen } = adopt(0);
    new Process('two');
    await clock.advance(lostMs - 1);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { message: expect.stringContaining('no process came back') } });
  });

  test('is with one process only, once one has claimed it', () => {
    adopt(0);
    new Process('one', { runs: [key(1)] });
    expect(new Process('two', { runs: [key(1)] }).told).toEqual(['attached', 'closed 1']);
  });
});

describe('a stop', () => {
  test('reaches the process, and the run ends as that says', async () => {
    const one = new Process('one');
    const { run, seen } = start(1);
    const stopping = run.stop(5000);
    expect(one.told).toEqual(['attached', 'start 1', 'stop 1']);
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'cancelled', message: 'stopped' } });
    expect(await stopping).toBe(0);
    expect(seen.end).toMatchObject({ error: { code: 'cancelled' } });
    expect(await run.stop(0)).toBe(0);
    await clock.advance(lostMs);
  });

  test('that is not followed in time leaves a run of which nobody knows', async () => {
    const one = new Process('one');
    const { run, seen } = start(1);
    void run.stop(5000);
    await clock.advance(4999);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true, error: { message: expect.stringContaining('did not in time') } });
    one.say(1, 1, 'late');
  });

  test('of a run that waits for room ends it unbegun', async () => {
    new Process('one');
    start(1);
    const { run, seen } = start(2);
    await run.stop(5000);
    expect(seen.end).toEqual({ error: { code: 'cancelled', message: expect.stringContaining('before it was handed') } });
  });

  test('meets a process that is away when it comes back', async () => {
    const one = new Process('one');
    const { run, seen } = start(1);
    one.serving.lost();
    void run.stop(5000);
    await clock.advance(3000);
    const again = new Process('one', { runs: [key(1)] });
    expect(again.told).toEqual(['attached', 'stop 1']);
    await clock.advance(4999);
    expect(seen.end).toBeUndefined();
    await clock.advance(1);
    expect(seen.end).toMatchObject({ isUnknown: true });
  });
});

describe('what no well-made process sends', () => {
  const refused = (what: () => void, message: RegExp): void => {
    expect(what).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringMatching(message) }));
  };

  test('a gap, an empty piece, one that is too large', () => {
    const one = new Process('one');
    const { sink } = start(1);
    refused(() => one.say(1, 2, 'b'), /can't follow/);
    refused(() => one.say(1, 1, ''), /1 to 32768/);
    refused(() => one.say(1, 1, 'x'.repeat(32 * 1024 + 1)), /1 to 32768/);
    expect(sink.text).toBe('');
  });

  test('more than the node can keep', () => {
    const one = new Process('one');
    start(1);
    let number = 0;
    const flood = (): void => {
      for (let sent = 0; sent <= 2 * windowBytes; sent += 32_768) one.say(1, (number += 1), 'x'.repeat(32_768));
    };
    refused(flood, /on the way/);
  });

  test('more questions than people could answer', () => {
    const one = new Process('one');
    start(1);
    const ask = (number: number): void => one.serving.receive({ type: 'ask', key: key(1), number, ask: { reason: 'input', prompt: `${number}`, choices: [] } });
    for (let number = 1; number <= mostOpenAsks; number += 1) ask(number);
    refused(() => ask(mostOpenAsks + 1), /at most/);
  });

  test('what is of no run of its own is answered with that, and changes nothing', async () => {
    const one = new Process('one', { concurrency: 2 });
    const two = new Process('two');
    const { sink } = start(1);
    two.say(1, 1, 'not mine');
    one.say(9, 1, 'unknown');
    one.serving.receive({ type: 'end', key: key(1, 2) });
    await nextTurn();
    expect(sink.text).toBe('');
    expect([one.told, two.told]).toEqual([['attached', 'start 1', 'closed 9', 'closed 1'], ['attached', 'closed 1']]);
  });

  test('what comes after the end is nobody’s', async () => {
    const one = new Process('one');
    const { sink, seen } = start(1);
    one.say(1, 1, 'a');
    one.end(1);
    one.say(1, 2, 'b');
    one.serving.receive({ type: 'end', key: key(1), error: { code: 'internal', message: 'after all' } });
    await nextTurn();
    expect([sink.text, seen.end]).toEqual(['a', { exitCode: 0 }]);
  });
});
