/** DER changed as a tree (ITU-T X.690): elements taken away, doubled, moved and bent, with lengths that are true again, or lie. */
import type { Dice } from '../../chaos/dice.ts';

interface Element {
  tag: number;
  /** Of one that holds elements. */
  inside?: Element[];
  content: Uint8Array;
}

const deepest = 24;
const tags = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0x80, 0x82, 0x86, 0xa0, 0xa3];

export function mutateDer(bytes: Uint8Array, dice: Dice, other: Uint8Array): Uint8Array {
  const root = read(bytes, 0);
  const others = all(read(other, 0));
  for (let steps = dice.between(1, 3); steps > 0; steps -= 1) step(root, dice, others);
  const written = Buffer.concat(root.map((each) => write(each, dice)));
  return written;
}

function read(bytes: Uint8Array, depth: number): Element[] {
  const elements: Element[] = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    let length = first < 0x80 ? first : 0;
    for (let index = 0; index < Math.min(lengthBytes, 4); index += 1) length = length * 256 + (bytes[at + 2 + index] ?? 0);
    const from = at + 2 + lengthBytes;
    const content = bytes.subarray(from, from + length);
    const isConstructed = (tag & 0x20) !== 0;
    // What an extension holds is DER in an octet string.
    const holds = depth < deepest && (isConstructed || (tag === 0x04 && content[0] === 0x30));
    elements.push(holds ? { tag, content, inside: read(content, depth + 1) } : { tag, content });
    at = from + length;
  }
  return elements;
}

function all(elements: readonly Element[]): Element[] {
  return elements.flatMap((each) => [each, ...all(each.inside ?? [])]);
}

function step(root: Element[], dice: Dice, others: readonly Element[]): void {
  const elements = all(root);
  if (elements.length === 0) return;
  const element = dice.pick(elements);
  const holder = elements.find((each) => each.inside?.includes(element))?.inside ?? root;
  const at = holder.indexOf(element);
  switch (dice.between(0, 7)) {
    case 0:
      if (holder.length > 1 || holder !== root) holder.splice(at, 1);
      break;
    case 1:
      for (let times = dice.pick([1, 1, 2, 30]); times > 0; times -= 1) holder.splice(at, 0, structuredClone(element));
      break;
    case 2:
      if (others.length > 0) holder[at] = structuredClone(dice.pick(others));
      break;
    case 3:
      element.tag = dice.pick(tags);
      break;
    case 4: {
      const bent = Uint8Array.from(element.content);
      if (bent.length > 0) bent[dice.between(0, bent.length - 1)] = dice.between(0, 255);
      element.content = bent;
      if (!isConstructed(element)) delete element.inside;
      break;
    }
    case 5:
      delete element.inside;
      element.content = dice.pick([new Uint8Array(0), Buffer.alloc(dice.between(1, 40), dice.between(0, 255)), Buffer.from('99991231235959Z'), Buffer.from('a\0b'), Buffer.alloc(3000, 0x41)]);
      break;
    case 6: {
      const second = dice.between(0, holder.length - 1);
      [holder[at], holder[second]] = [holder[second] ?? element, element];
      break;
    }
    default:
      if (others.length > 0) holder.splice(at, 0, structuredClone(dice.pick(others)));
  }
}

const isConstructed = ({ tag }: Element): boolean => (tag & 0x20) !== 0;

function write({ tag, inside, content }: Element, dice: Dice): Buffer {
  const bytes = inside === undefined ? content : Buffer.concat(inside.map((each) => write(each, dice)));
  return Buffer.concat([Buffer.from([tag]), length(dice.chance(0.005) ? dice.pick([0, bytes.length + 1, 0xffff_ffff]) : bytes.length, dice), bytes]);
}

function length(value: number, dice: Dice): Buffer {
  if (value < 0x80 && !dice.chance(0.003)) return Buffer.from([value]);
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
