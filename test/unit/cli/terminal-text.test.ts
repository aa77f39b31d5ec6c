import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TerminalText } from '../../../src/cli/terminal-text.ts';

function shown(pieces: readonly Uint8Array[]): string {
  const text = new TerminalText();
  return pieces.map((piece) => text.push(piece)).join('') + text.end();
}

test('what a terminal is shown does not depend on how the bytes were cut', () => {
  const bytes = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x1b, 0x0d, 0x0a, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80)), { maxLength: 60 });
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(60), { maxLength: 5 }), (content, cuts) => {
      const all = Uint8Array.from(content);
      const places = [0, ...cuts.filter((cut) => cut <= all.length).sort((a, b) => a - b), all.length];
      const pieces = places.slice(1).map((end, index) => all.subarray(places[index] ?? 0, end));
      expect(shown(pieces)).toBe(shown([all]));
      // eslint-disable-next-line no-control-regex
      expect(shown([all])).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }),
  );
});

test('a Windows line end is a line end; a lone return is shown', () => {
  expect(shown([Buffer.from('a\r'), Buffer.from('\nb\rc\r')])).toBe('a\nb␍c␍');
});
