import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LastWords } from '../../../../src/harness/acp/last-words.ts';
import { Lines, TooLong } from '../../../../src/harness/acp/lines.ts';

describe('lines', () => {
  test('are the same however they come in pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\n', ' '))), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (texts, sizes) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''));
        const lines = new Lines(1000);
        const got: string[] = [];
        for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          for (const line of lines.push(bytes.subarray(from, from + size))) got.push(line.toString());
          from += size;
        }
        expect(got).toEqual(texts.map((text) => Buffer.from(text).toString()));
        expect(lines.rest().length).toBe(0);
      }),
    );
  });

  test('have a longest one', () => {
    const lines = new Lines(4);
    expect([...lines.push(Buffer.from('1234\n12'))].map(String)).toEqual(['1234']);
    expect(() => [...lines.push(Buffer.from('345'))]).toThrow(TooLong);
  });
});

describe('last words', () => {
  test('are the last 4 KiB, from a whole line on', () => {
    const words = new LastWords();
    expect([words.line, words.bytes.length]).toEqual(['', 0]);
    for (let number = 0; number < 10_000; number += 1) words.add(Buffer.from(`line ${number}\n`));
    words.add(Buffer.from('\n  \n'));
    expect(words.line).toBe('line 9999');
    const text = Buffer.from(words.bytes).toString();
    expect(text.length).toBeLessThanOrEqual(4096);
    expect(text).toMatch(/^line \d+\n[^]*line 9999\n$/);
  });

  test('of one line without end are its end, as whole characters', () => {
    const words = new LastWords();
    words.add(Buffer.from('é'.repeat(5000)));
    expect(words.line.length).toBe(300);
    expect(Buffer.from(words.bytes).toString().replaceAll('é', '')).toMatch(/^�?\n$/);
  });
});
