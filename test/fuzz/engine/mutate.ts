/** Changes to bytes that know nothing of their form: flips, cuts, splices, lies about lengths, words and numbers put in. */
import type { Dice } from '../../chaos/dice.ts';

const numbers = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const encoder = new TextEncoder();
/** What parsers stumble over. */
const oddWords = ['\0', '\u001b[2J', '\u202e', '\ud800', '%00', '%s', '../', '__proto__', 'constructor', '9007199254740993', '-1', '1e309', 'NaN', '\r\n', '"', '\\', '𝟘', 'İ', 'ß', '　', '\u00ad', '\ufeff', 'a'.repeat(300), '['.repeat(2000), '{"a":'.repeat(600)];

export function mutate(input: Uint8Array, dice: Dice, other: Uint8Array, words: readonly string[], longest: number): Uint8Array {
  let bytes = Buffer.from(input);
  for (let steps = 1 << dice.between(0, 3); steps > 0; steps -= 1) bytes = Buffer.from(change(bytes, dice, other, words));
  return bytes.length > longest ? bytes.subarray(0, longest) : bytes;
}

function change(bytes: Buffer, dice: Dice, other: Uint8Array, words: readonly string[]): Uint8Array {
  const at = dice.between(0, Math.max(0, bytes.length - 1));
  const put = (what: Uint8Array, replaced: number): Uint8Array => {
    // At the very end, too.
    const from = dice.chance(0.2) ? bytes.length : at;
    return Buffer.concat([bytes.subarray(0, from), what, bytes.subarray(Math.min(bytes.length, from + replaced))]);
  };
  switch (dice.between(0, 12)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.between(0, 7));
      return bytes;
    case 1:
      bytes[at] = dice.between(0, 255);
      return bytes;
    case 2:
      bytes[at] = (bytes[at] ?? 0) + dice.between(-16, 16);
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return put(new Uint8Array(0), dice.between(1, 1 + (bytes.length >> 2)));
    case 5: {
      const length = dice.between(1, Math.min(64, bytes.length + 1));
      return put(bytes.subarray(at, at + length), 0);
    }
    case 6: {
      const from = dice.between(0, other.length);
      return put(other.subarray(from, from + dice.between(0, Math.min(256, other.length))), dice.chance(0.5) ? dice.between(0, 64) : 0);
    }
    case 7:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(dice.between(0, other.length))]);
    case 8:
      return put(number(dice), dice.chance(0.7) ? 4 : 0);
    case 9:
      return put(encoder.encode(dice.pick(words.length > 0 ? words : oddWords)), dice.chance(0.4) ? dice.between(1, 12) : 0);
    case 10:
      return put(encoder.encode(dice.pick(oddWords)), dice.chance(0.4) ? dice.between(1, 12) : 0);
    case 11:
      return put(Buffer.of(dice.between(0x20, 0x7e)), dice.chance(0.3) ? 1 : 0);
    default:
      return put(Buffer.alloc(dice.between(1, 32), dice.between(0, 255)), dice.chance(0.5) ? dice.between(1, 32) : 0);
  }
}

/** As lengths are written: big and little end first, one to eight bytes, and as a varint. */
function number(dice: Dice): Uint8Array {
  const value = dice.pick(numbers);
  const bytes = Buffer.alloc(8);
  if (dice.chance(0.3)) return varint(BigInt(value));
  const size = dice.pick([1, 2, 4, 8]);
  if (dice.chance(0.5)) bytes.writeBigUInt64BE(BigInt(value));
  else bytes.writeBigUInt64LE(BigInt(value));
  return dice.chance(0.5) ? bytes.subarray(8 - size) : bytes.subarray(0, size);
}

export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}
