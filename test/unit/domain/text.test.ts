import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { harmlessJson, isUtf8, neutralise, quoted, splitUtf8 } from '../../../src/domain/text.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decodes = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};
/** Bytes near to UTF-8: characters, broken characters, and noise. */
const nearlyUtf8 = fc
  .array(fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }).map(encode), fc.uint8Array({ maxLength: 3 }), fc.constantFrom(...['é', '€', '😀'].map(encode)).chain((whole) => fc.nat({ max: 3 }).map((cut) => whole.subarray(0, cut)))))
  .map((pieces) => Uint8Array.from(pieces.flatMap((piece) => [...piece])));

describe('isUtf8', () => {
  test('agrees with the platform decoder on any bytes', () => {
    fc.assert(fc.property(nearlyUtf8, (bytes) => { expect(isUtf8(bytes)).toBe(decodes(bytes)); }), { numRuns: 1000 });
  });

  test.each([[[]], [[0x00]], [[0xf4, 0x8f, 0xbf, 0xbf]], [[0xed, 0x9f, 0xbf]], [[0xee, 0x80, 0x80]], [[0xef, 0xbb, 0xbf]]])('%j is UTF-8', (bytes) => {
    expect(isUtf8(Uint8Array.from(bytes))).toBe(true);
  });

  test.each([[[0x80]], [[0xc0, 0x80]], [[0xc1, 0xbf]], [[0xe0, 0x9f, 0xbf]], [[0xed, 0xa0, 0x80]], [[0xf0, 0x8f, 0xbf, 0xbf]], [[0xf4, 0x90, 0x80, 0x80]], [[0xf5, 0x80, 0x80, 0x80]], [[0xc3]], [[0xe2, 0x82]], [[0xff]]])(
    '%j is not',
    (bytes) => {
      expect(isUtf8(Uint8Array.from(bytes))).toBe(false);
    },
  );
});

describe('splitUtf8', () => {
  test('UTF-8 is cut into chunks that are UTF-8, lose nothing and are as long as they can be', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 4, max: 20 }), (text, maxBytes) => {
        const bytes = encode(text);
        const chunks: Uint8Array[] = [];
        for (let rest = bytes; rest.length > 0; ) {
          const split = splitUtf8(rest, maxBytes, true);
          expect(split.head.length).toBeGreaterThan(0);
          chunks.push(split.head);
          rest = split.rest;
        }
        expect(chunks.every((chunk) => isUtf8(chunk) && chunk.length <= maxBytes)).toBe(true);
        expect(chunks.slice(0, -1).every((chunk) => chunk.length > maxBytes - 4)).toBe(true);
        expect(Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))).toEqual(bytes);
      }),
    );
  });

  test('a stream read in any pieces keeps every character whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (text, sizes) => {
        const bytes = encode(text);
        let held = new Uint8Array();
        let out = '';
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          const joined = Uint8Array.from([...held, ...bytes.subarray(at, at + size)]);
          const { head, rest } = splitUtf8(joined, 1024);
          expect(isUtf8(head)).toBe(true);
          expect(rest.length).toBeLessThanOrEqual(3);
          out += new TextDecoder('utf-8', { ignoreBOM: true }).decode(head);
          held = Uint8Array.from(rest);
          at += size;
        }
        expect(held.length).toBe(0);
        expect(out).toBe(text.toWellFormed());
      }),
    );
  });

  test('any bytes are cut within the limit, without loss and without standing still', () => {
    fc.assert(
      fc.property(nearlyUtf8, fc.integer({ min: 4, max: 12 }), (bytes, maxBytes) => {
        const { head, rest } = splitUtf8(bytes, maxBytes);
        expect(Uint8Array.from([...head, ...rest])).toEqual(bytes);
        expect(head.length).toBeLessThanOrEqual(maxBytes);
        expect(head.length > 0 || rest.length <= 3).toBe(true);
        expect(splitUtf8(bytes, maxBytes, true).head.length > 0).toBe(bytes.length > 0);
      }),
    );
  });

  test.each([
    ['a character across the limit goes to the rest', [97, 98, 99, 0xf0, 0x9f, 0x98, 0x80], 6, false, 3],
    ['an unfinished character at the end waits', [97, 0xe2, 0x82], 9, false, 1],
    ['an unfinished character at the very end goes along', [97, 0xe2, 0x82], 9, true, 3],
    ['what only looks unfinished does not wait', [97, 0xe2, 0x41, 0xed, 0xa0], 9, false, 5],
    ['a broken character is cut anywhere', [97, 98, 99, 0xe2, 0x41, 98], 4, false, 4],
    ['stray continuation bytes are cut anywhere', [0x80, 0x80, 0x80, 0x80, 0x80], 4, false, 4],
    ['nothing stays nothing', [], 4, false, 0],
    ['a limit below the longest character is read as 4', [0xf0, 0x9f, 0x98, 0x80, 97], 1, false, 4],
  ])('%s', (_promise, bytes, maxBytes, isEnd, length) => {
    expect(splitUtf8(Uint8Array.from(bytes), maxBytes, isEnd).head.length).toBe(length);
  });
});

const c1 = (code: number): string => String.fromCodePoint(code);

describe('neutralise', () => {
  test.each([
    ['plain text, newlines and tabs stay', 'a\tb\nc é €😀', 'a\tb\nc é €😀'],
    ['OSC 52 writes no clipboard', '\u001b]52;c;cm0gLXJm\u0007', '␛]52;c;cm0gLXJm␇'],
    ['a title is not set', '\u001b]0;pwned\u001b\\', '␛]0;pwned␛\\'],
    ['the cursor does not move', 'x\u001b[2J\u001b[H\b\b', 'x␛[2J␛[H␈␈'],
    ['a carriage return overwrites nothing', 'rm -rf /\rls', 'rm -rf /␍ls'],
    ['a C1 CSI is shown', `${c1(0x9b)}31m`, '<U+009B>31m'],
    ['a C1 OSC and its end are shown', `${c1(0x9d)}0;t${c1(0x9c)}`, '<U+009D>0;t<U+009C>'],
    ['NEL is shown', `a${c1(0x85)}b`, 'a<U+0085>b'],
    ['NUL and DEL are shown', '\u0000\u007f', '␀␡'],
    ['vertical tab and form feed are shown', '\v\f', '␋␌'],
    ['text direction is not overridden', 'a\u202eb\u2066c\u200f', 'a<U+202E>b<U+2066>c<U+200F>'],
    ['line separators are shown', 'a\u2028b\u2029', 'a<U+2028>b<U+2029>'],
    ['lone surrogates become U+FFFD', 'a\ud83db\udc00', 'a\ufffdb\ufffd'],
  ])('%s', (_promise, text, shown) => {
    expect(neutralise(text)).toBe(shown);
  });

  const hostile = fc.string({ unit: fc.oneof(fc.integer({ min: 0, max: 0xa0 }).map(c1), fc.constantFrom('\u202e', '\ud800', '\u2069', '😀')), maxLength: 30 });

  test('nothing that could drive a terminal is left, and doing it twice changes nothing', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = neutralise(text);
        for (const character of shown) {
          const code = character.codePointAt(0) ?? 0;
          expect(character === '\n' || character === '\t' || (code >= 0x20 && (code < 0x7f || code > 0x9f))).toBe(true);
        }
        expect(shown.isWellFormed()).toBe(true);
        expect(neutralise(shown)).toBe(shown);
      }),
    );
  });

  test('a stream is shown alike wherever it was cut between characters', () => {
    fc.assert(
      fc.property(hostile, fc.nat({ max: 30 }), (text, cut) => {
        const characters = Array.from(text);
        const whole = characters.join('');
        const [head, tail] = [characters.slice(0, cut).join(''), characters.slice(cut).join('')];
        fc.pre(head.isWellFormed() && tail.isWellFormed());
        expect(neutralise(head) + neutralise(tail)).toBe(neutralise(whole));
      }),
    );
  });
});

describe('quoted', () => {
  test('foreign text in a message is one harmless line of bounded length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const shown = quoted(text, 20);
        expect(neutralise(shown)).toBe(shown);
        expect(shown).not.toMatch(/[\n\t]/);
        expect(shown.length).toBeLessThanOrEqual(2 + 21 * 8);
      }),
    );
    // What has no width makes two names look alike that are not.
    expect(quoted('friend\u200b\ufeff')).toBe('"friend<U+200B><U+FEFF>"');
    expect(quoted('a"b')).toBe(String.raw`"a\"b"`);
    expect(quoted('a'.repeat(61))).toBe(`"${'a'.repeat(60)}…"`);
    expect(quoted('😀'.repeat(60))).toBe(`"${'😀'.repeat(60)}"`);
  });
});

describe('JSON for a terminal', () => {
  test('means the same, and holds nothing that `neutralise` would have to show', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = JSON.stringify({ [text]: [text] });
        const harmless = harmlessJson(json);
        expect(JSON.parse(harmless)).toEqual(JSON.parse(json));
        expect(neutralise(harmless)).toBe(harmless);
      }),
    );
    expect(harmlessJson(JSON.stringify('\u009b31m\u202e\u007f'))).toBe('"\\u009b31m\\u202e\\u007f"');
  });
});
