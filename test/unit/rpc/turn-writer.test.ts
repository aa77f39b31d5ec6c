import { describe, expect, test } from 'vitest';
import { TurnWriter } from '../../../src/rpc/turn-writer.ts';

/** Takes so many messages, and then no more until it is drained. */
class Narrow {
  readonly written: string[][] = [];
  room: number;
  #drained: (() => void) | undefined;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room;
  }

  write(message: string[]): boolean {
    this.written.push(message);
    this.room -= 1;
    return this.room > 0;
  }

  once(_event: 'drain', listener: () => void): void {
    this.#drained = listener;
  }

  drain(room: number): void {
    this.room = room;
    this.#drained?.();
  }
}

const turnsEnd = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function writerOver(call: Narrow, most = 10): { say: (...words: string[]) => void; heard: string[]; writer: TurnWriter<string[]> } {
  const [waiting, heard]: [string[], string[]] = [[], []];
  const writer = new TurnWriter(call, {
    next: () => (waiting.length === 0 ? undefined : waiting.splice(0, most)),
    onEmpty: () => void heard.push('empty'), onFull: () => void heard.push('full'), onDrain: () => void heard.push('drain'),
  });
  const say = (...words: string[]): void => {
    waiting.push(...words);
    writer.flushSoon();
  };
  return { say, heard, writer };
}

describe('a writer at the end of each turn', () => {
  test('says in one message what was said in one turn, in its order, and nothing before its end', async () => {
    const call = new Narrow();
    const { say, heard, writer } = writerOver(call);
    say('a');
    await Promise.resolve().then(() => say('b'));
    expect([call.written, writer.isBusy]).toEqual([[], true]);
    await turnsEnd();
    expect([call.written, writer.isBusy]).toEqual([[['a', 'b']], false]);
    say('c');
    await turnsEnd();
    expect([call.written, heard]).toEqual([[['a', 'b'], ['c']], ['empty', 'empty']]);
  });

  test('writes nothing while the other side takes nothing, and all that came meanwhile once it does', async () => {
    const call = new Narrow(1);
    const { say, heard, writer } = writerOver(call, 2);
    say('a', 'b', 'c');
    await turnsEnd();
    say('d', 'e');
    await turnsEnd();
    expect([call.written, writer.isBusy, heard]).toEqual([[['a', 'b']], true, ['full']]);
    call.drain(1);
    expect([call.written, heard]).toEqual([[['a', 'b'], ['c', 'd']], ['full', 'drain', 'full']]);
    call.drain(5);
    expect([call.written, writer.isBusy, heard]).toEqual([[['a', 'b'], ['c', 'd'], ['e']], false, ['full', 'drain', 'full', 'drain', 'empty']]);
  });

  test('that has nothing to write says so, too', async () => {
    const call = new Narrow();
    const { say, heard } = writerOver(call);
    say();
    await turnsEnd();
    expect([call.written, heard]).toEqual([[], ['empty']]);
  });
});
