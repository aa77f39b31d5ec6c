/** Text from elsewhere: cutting bytes without breaking characters, and making text harmless for a terminal. */

/**
 * The length of the UTF-8 sequence that starts at `at`: 1 to 4 when it is whole, 0 when it is not UTF-8 (RFC 3629,
 * section 4), and minus the expected length when the bytes end before the sequence does but are valid so far.
 */
function sequenceAt(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  for (let offset = 1; offset < length; offset += 1) {
    if (at + offset >= end) return -length;
    const byte = bytes[at + offset] ?? 0;
    // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
    const low = offset > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = offset > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return 0;
  }
  return length;
}

export function isUtf8(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceAt(bytes, at, bytes.length);
    if (length <= 0) return false;
    at += length;
  }
  return true;
}

export interface Split {
  readonly head: Uint8Array;
  readonly rest: Uint8Array;
}

/**
 * Cuts off the longest head of at most `maxBytes` that does not end inside a character. An unfinished character at the
 * end of `bytes` stays in `rest` (at most 3 bytes) to be joined with what follows, unless `isEnd` says that nothing
 * does. Bytes that are not UTF-8 are cut anywhere. Head and rest share memory with `bytes`; the head is empty only
 * when there is nothing but an unfinished character, so a loop that calls this always ends.
 * @param maxBytes at least 4, the longest character
 */
export function splitUtf8(bytes: Uint8Array, maxBytes: number, isEnd = false): Split {
  const limit = Math.min(bytes.length, Math.max(4, maxBytes));
  const cut = limit === bytes.length && isEnd ? limit : boundaryBefore(bytes, limit);
  return { head: bytes.subarray(0, cut), rest: bytes.subarray(cut) };
}

function boundaryBefore(bytes: Uint8Array, limit: number): number {
  for (let back = 1; back <= 3 && back <= limit; back += 1) {
    const byte = bytes[limit - back] ?? 0;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (isContinuation) continue;
    const reaches = Math.abs(sequenceAt(bytes, limit - back, bytes.length));
    return reaches > back ? limit - back : limit;
  }
  return limit;
}

// Built from code points so that no control character stands in this file. Newline and tab stay; the rest of C0, DEL
// and C1 can drive a terminal, bidirectional controls and line separators can make text read as something else.
const range = (from: number, to: number): string => `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`;
const unsafe = new RegExp(
  `[${[
    range(0x00, 0x08),
    range(0x0b, 0x1f),
    range(0x7f, 0x9f),
    range(0x61c, 0x61c),
    range(0x200e, 0x200f),
    range(0x2028, 0x202e),
    range(0x2066, 0x2069),
    range(0xd800, 0xdfff), // with the u flag only surrogates without a partner
  ].join('')}]`,
  'gu',
);

/**
 * Shows what could drive a terminal instead of letting it act: C0 and DEL as control pictures (`␛`), C1 and
 * bidirectional controls as `<U+009B>`, lone surrogates as U+FFFD. Each character is replaced by itself alone, so the
 * result for a stream does not depend on where it was cut (between characters).
 */
export function neutralise(text: string): string {
  return text.replace(unsafe, visible);
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
}

/** Of the permission bits of a file, as chmod takes them: `0600`. */
export function octalMode(bits: number): string {
  return bits.toString(8).padStart(4, '0');
}

/** A JSON document, without line breaks between its parts, that means the same and drives no terminal: what `neutralise` would show is escaped. */
export function harmlessJson(json: string): string {
  return json.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Without width: two names may look alike that are not. In a stream they hold letters and pictures together, and stay. */
const invisible = new RegExp(`[${[range(0xad, 0xad), range(0x200b, 0x200d), range(0x2060, 0x2064), range(0xfeff, 0xfeff)].join('')}]`, 'gu');

/** Foreign text in double quotes for a message: one line, harmless, all of it to be seen, at most `longest` characters. */
export function quoted(text: string, longest = 60): string {
  const characters = Array.from(text.slice(0, 2 * longest + 2));
  const isLong = characters.length > longest || text.length > 2 * longest + 2;
  const shown = isLong ? `${characters.slice(0, longest).join('')}…` : text;
  return neutralise(JSON.stringify(shown)).replace(invisible, visible);
}
