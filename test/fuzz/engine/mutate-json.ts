/** JSON changed as JSON: values replaced, moved, doubled, taken away and nested, keys that mean something elsewhere. */
import type { Dice } from '../../chaos/dice.ts';
import type { Mutate } from './boundary.ts';

const scalars: readonly unknown[] = [null, true, false, 0, -0, 1, -1, 1.5, 1e308, -1e308, 5e-324, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, '', ' ', '0', 'a', '\0', '\ud800', '\u001b[31m', '\u202eabc', '__proto__', 'constructor', [], {}, [[]], 'x'.repeat(5000)];
const keys = ['__proto__', 'constructor', 'prototype', 'toString', 'length', 'then', 'id', 'method', 'params', 'result', 'error', 'type', '', '0'];

interface Slot {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string | number;
}

export function jsonMutation(words: readonly string[] = []): Mutate {
  return (input, dice, other) => {
    const value = parsed(input);
    const stock = [...slots({ root: parsed(other) }).map(valueOf), ...words];
    const root = { root: value };
    for (let steps = dice.between(1, 4); steps > 0; steps -= 1) step(root, dice, stock);
    return Buffer.from(written(root.root, dice));
  };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch {
    return Buffer.from(bytes).toString().slice(0, 200);
  }
}

function slots(root: { root: unknown }): Slot[] {
  const found: Slot[] = [];
  const open: (Slot['holder'])[] = [root];
  for (let holder = open.pop(); holder !== undefined && found.length < 2000; holder = open.pop()) {
    for (const key of Array.isArray(holder) ? holder.keys() : Object.keys(holder)) {
      found.push({ holder, key });
      const value = (holder as Record<string | number, unknown>)[key];
      if (typeof value === 'object' && value !== null) open.push(value as Slot['holder']);
    }
  }
  return found;
}

const valueOf = ({ holder, key }: Slot): unknown => (holder as Record<string | number, unknown>)[key];

function step(root: { root: unknown }, dice: Dice, stock: readonly unknown[]): void {
  const all = slots(root);
  const slot = dice.pick(all);
  const set = (value: unknown): void => void Object.defineProperty(slot.holder, slot.key, { value, enumerable: true, writable: true, configurable: true });
  const value = valueOf(slot);
  switch (dice.between(0, 8)) {
    case 0:
      return set(structuredClone(dice.pick(scalars)));
    case 1:
      if (Array.isArray(slot.holder)) slot.holder.splice(Number(slot.key), 1);
      else if (slot.key !== 'root') delete slot.holder[slot.key];
      return undefined;
    case 2:
      return set(structuredClone(valueOf(dice.pick(all))));
    case 3:
      return set(structuredClone(dice.pick(stock)));
    case 4:
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) Object.defineProperty(value, dice.pick(keys), { value: structuredClone(dice.pick(scalars)), enumerable: true, writable: true, configurable: true });
      return undefined;
    case 5:
      if (Array.isArray(value)) value.push(...Array.from({ length: dice.pick([1, 1, 2, 70]) }, () => structuredClone((value[0] as unknown) ?? dice.pick(scalars))));
      return undefined;
    case 6:
      if (typeof value === 'string') set(bent(value, dice));
      else if (typeof value === 'number') set(dice.pick([value + 1, value - 1, -value, value * 2 ** 20, String(value)]));
      return undefined;
    case 7:
      return set(Array.from({ length: dice.pick([1, 3, 40]) }).reduce<unknown>((inner) => (dice.chance(0.5) ? [inner] : { a: inner }), value));
    default:
      return set({ [dice.pick(keys)]: value });
  }
}

function bent(text: string, dice: Dice): string {
  const at = dice.between(0, text.length);
  const piece = dice.pick(['\0', '\n', '/', '..', '@', '#', '%', ':', '-', ' ', 'é', '𝔸', '\u0301', '\ud800', 'A', '0', '']);
  return text.slice(0, at) + piece + text.slice(at + dice.between(0, 3));
}

/** Now and then as JSON.stringify would not write it: a key twice, a number too long, no end. */
function written(value: unknown, dice: Dice): string {
  const text = JSON.stringify(value) ?? 'null';
  switch (dice.between(0, 12)) {
    case 0:
      return text.replace(/"(\w+)":/, (key) => `${key}0,${key}`);
    case 1:
      return text.replace(/\d+/, '123456789012345678901');
    case 2:
      return text.slice(0, dice.between(0, text.length));
    case 3:
      return text.replaceAll(',', ' ,\n\t');
    default:
      return text;
  }
}
