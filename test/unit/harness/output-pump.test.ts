import { PassThrough, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maxOutputChunk } from '../../../src/domain/flight-event.ts';
import { isUtf8 } from '../../../src/domain/text.ts';
import { OutputPump } from '../../../src/harness/output-pump.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function pumping(output: (bytes: Uint8Array) => Promise<void> = async () => undefined) {
  const clock = new FakeClock();
  const source = new PassThrough();
  const pieces: Uint8Array[] = [];
  const sink = {
    output: async (_stream: string, bytes: Uint8Array) => {
      pieces.push(Uint8Array.from(bytes));
      await output(bytes);
    },
  };
  const pump = new OutputPump(source, 'stdout', sink, clock);
  const state = { isDone: false };
  const done = pump.run().finally(() => {
    state.isDone = true;
  });
  return { clock, source, pieces, pump, done, state };
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
};

describe('an output pump', () => {
  test('hands over what is printed at once, without waiting for more', async () => {
    const { source, pieces } = pumping();
    source.write('one line\n');
    await settle();
    expect(Buffer.concat(pieces).toString()).toBe('one line\n');
    source.write('half a li');
    await settle();
    expect(Buffer.concat(pieces).toString()).toBe('one line\nhalf a li');
  });

  test('loses nothing, keeps the order and cuts no character, in pieces of bounded size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary', maxLength: 50 }), { maxLength: 10 }), fc.nat({ max: 7 }), async (texts, step) => {
        const { source, pieces, done } = pumping();
        const bytes = Buffer.from(texts.join(''));
        for (let at = 0; at < bytes.length; at += step + 1) source.write(bytes.subarray(at, at + step + 1));
        source.end();
        await done;
        expect(Buffer.concat(pieces)).toEqual(bytes);
        for (const piece of pieces) expect(isUtf8(piece)).toBe(true);
      }),
    );
  });

  test('pieces are at most as large as one event may be, and what is not UTF-8 passes unchanged', async () => {
    const { source, pieces, done } = pumping();
    const bytes = Buffer.alloc(5 * maxOutputChunk + 17, Buffer.from([0xff, 0xe2, 0x82, 0x00]));
    source.end(bytes);
    await done;
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(maxOutputChunk);
  });

  test('an unfinished character at the end of the stream is handed over as it is', async () => {
    const { source, pieces, done } = pumping();
    source.end(Buffer.from([0x61, 0xe2, 0x82]));
    await done;
    expect([...Buffer.concat(pieces)]).toEqual([0x61, 0xe2, 0x82]);
  });

  test('reads no more while the sink has no room', async () => {
    let produced = 0;
    const source = new Readable({
      read() {
        produced += 16_384;
        this.push(produced > 10_000_000 ? null : Buffer.alloc(16_384));
      },
    });
    const gate = Promise.withResolvers<undefined>();
    let taken = 0;
    const sink = {
      output: async (_stream: string, bytes: Uint8Array) => {
        taken += bytes.length;
        await gate.promise;
      },
    };
    const done = new OutputPump(source, 'stdout', sink, new FakeClock()).run();
    for (let turn = 0; turn < 200; turn += 1) await nextTurn();
    expect(taken).toBeGreaterThan(0);
    expect(produced).toBeLessThan(300_000);
    gate.resolve(undefined);
    await done;
    expect(taken).toBeGreaterThan(9_900_000);
  });

  test('a pipe that somebody keeps open is given up once the run is over and it has been silent', async () => {
    const { clock, source, pieces, pump, done, state } = pumping();
    source.write('last words');
    await clock.advance(60_000);
    expect(state.isDone).toBe(false);
    pump.finishSoon();
    await clock.advance(199);
    expect(state.isDone).toBe(false);
    await clock.advance(1);
    await done;
    expect(Buffer.concat(pieces).toString()).toBe('last words');
    expect(source.destroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('a daemon that prints for ever does not keep a finished run going', async () => {
    const { source, pieces, pump, done, state } = pumping();
    pump.finishSoon();
    for (let turn = 0; turn < 1000 && !state.isDone; turn += 1) {
      if (!source.destroyed) source.write(Buffer.alloc(32_768));
      await nextTurn();
    }
    await done;
    expect(Buffer.concat(pieces).length).toBeLessThan(4 * 1024 * 1024);
  });

  test('nor does one that prints little, again and again', async () => {
    const { clock, source, pieces, pump, done, state } = pumping();
    pump.finishSoon();
    for (let passedMs = 0; passedMs < 5000 && !state.isDone; passedMs += 100) {
      if (!source.destroyed) source.write('still here\n');
      await settle();
      await clock.advance(100);
    }
    expect(state.isDone).toBe(true);
    await done;
    expect(clock.monotonic()).toBeLessThanOrEqual(1500);
    expect(Buffer.concat(pieces).toString()).toContain('still here\n');
    expect(source.destroyed).toBe(true);
  });

  test('an error of the sink ends the pump with that error and closes the pipe', async () => {
    const { source, done } = pumping(() => Promise.reject(new Error('disk full')));
    source.write('x');
    await expect(done).rejects.toThrow('disk full');
    expect(source.destroyed).toBe(true);
  });

  test('an error of the pipe is its end', async () => {
    const { source, pieces, done } = pumping();
    source.write('before');
    await settle();
    source.destroy(new Error('EIO'));
    await done;
    expect(Buffer.concat(pieces).toString()).toBe('before');
  });
});
