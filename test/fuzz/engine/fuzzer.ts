/** The loop: an input that reached something is changed; what reaches something new is kept, to be changed in turn. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Dice } from '../../chaos/dice.ts';
import type { Boundary, Target } from './boundary.ts';
import { growth, held } from './memory.ts';
import type { Held } from './memory.ts';
import { mutate } from './mutate.ts';
import { tried, warmedUp } from './trial.ts';
import type { Find } from './trial.ts';

export interface Reach {
  words(): readonly string[];
  clear(): void;
  isNew(): boolean;
}

export interface FuzzerParts {
  readonly boundary: Boundary;
  readonly seeds: readonly Uint8Array[];
  readonly dice: Dice;
  readonly reach: Reach;
  readonly inputs: number;
  /** Whether there is no more time. */
  readonly isLate: () => boolean;
  /** Told of each input before it is tried, and after. */
  readonly watch: { begin(input: Uint8Array): void; end(): void };
  readonly onFind: (find: Find, input: Uint8Array) => Promise<void>;
}

export interface Fuzzed {
  readonly inputs: number;
  readonly accepted: number;
  readonly kept: number;
  readonly growth: string | undefined;
  /** Of the inputs that are refused, given again and again to one world. */
  readonly refusedGrowth: string | undefined;
}

const usualRenewal = 20_000;
const usualLongest = 16 * 1024;
const mostKept = 4_000;
const mostRefused = 256;

export async function fuzz(parts: FuzzerParts): Promise<Fuzzed> {
  const { boundary, dice, reach, watch, seeds, onFind } = parts;
  const target = await boundary.open();
  await warmedUp(target, seeds);
  const pool: Uint8Array[] = [];
  const refused: Uint8Array[] = [];
  const memory: Held[] = [];
  const dictionary = [...(boundary.words ?? []), ...(boundary.words ?? []), ...reach.words()];
  let own = 0;
  let inputs = 0;
  let accepted = 0;

  const give = async (input: Uint8Array): Promise<void> => {
    inputs += 1;
    reach.clear();
    watch.begin(input);
    const outcome = await tried(target, input);
    // A rejection that nobody waits for shows at the end of the turn: it is this input's.
    await nextTurn();
    watch.end();
    if ('find' in outcome) {
      await onFind(outcome.find, input);
      // What a defect left behind is no part of what comes next.
      await target.renew?.();
      return;
    }
    if (outcome.verdict === 'accepted') accepted += 1;
    else if (refused.length < mostRefused) own += keep(refused, copyOf(input));
    else if (inputs % 97 === 0) own += keep(refused, copyOf(input), dice.between(0, mostRefused - 1));
    if (reach.isNew()) own += keep(pool, copyOf(input), pool.length < mostKept ? undefined : dice.between(seeds.length, mostKept - 1));
  };

  try {
    for (const seed of seeds) {
      await give(seed);
      // Each is worth changing, whatever it reached.
      if (!Buffer.from(pool.at(-1) ?? []).equals(seed)) pool.push(seed);
    }
    const third = Math.ceil(parts.inputs / 3);
    const renewEvery = Math.min(boundary.renewEvery ?? usualRenewal, Math.max(1, Math.floor(third / 2)));
    while (inputs < parts.inputs && !parts.isLate()) {
      await give(changed(boundary, dice, pool, dictionary));
      if (inputs % renewEvery === 0) await target.renew?.();
      if (inputs % third === 0) {
        await target.renew?.();
        await nextTurn();
        memory.push(held(inputs, own));
      }
    }
    await target.renew?.();
    if (memory.length < 3) memory.push(held(inputs, own));
    return { inputs, accepted, kept: pool.length, growth: growth(memory)?.what, refusedGrowth: parts.isLate() ? undefined : await refusedGrowth(target, refused, watch, Math.min(third, 6_000)) };
  } finally {
    await target.close?.();
  }
}

/** @returns how many bytes more are held */
function keep(list: Uint8Array[], input: Uint8Array, at = list.length): number {
  const before = list[at];
  list[at] = input;
  return input.length - (before === undefined ? -100 : before.length);
}

/** A small Buffer is a part of a large one, which it keeps. */
function copyOf(input: Uint8Array): Uint8Array {
  return Uint8Array.from(input);
}

/** One in ten with another's pieces alone; what was found last is tried more often than what was found first. */
function changed(boundary: Boundary, dice: Dice, pool: readonly Uint8Array[], dictionary: readonly string[]): Uint8Array {
  const pick = (): Uint8Array => {
    const at = dice.chance(0.5) ? dice.between(0, pool.length - 1) : pool.length - 1 - Math.floor(pool.length * dice.next() ** 3);
    return pool[at] ?? new Uint8Array(0);
  };
  const longest = boundary.longest ?? usualLongest;
  let input = pick();
  if (boundary.mutate !== undefined && dice.chance(0.7)) input = boundary.mutate(input, dice, pick());
  if (boundary.mutate === undefined || dice.chance(0.4)) input = mutate(input, dice, pick(), dictionary, longest);
  return input.length > longest ? input.subarray(0, longest) : input;
}

/** A stranger who is refused may go on asking for as long as it likes. */
async function refusedGrowth(target: Target, refused: readonly Uint8Array[], watch: FuzzerParts['watch'], rounds: number): Promise<string | undefined> {
  if (refused.length === 0) return undefined;
  const memory: Held[] = [];
  let given = 0;
  for (let third = 0; third < 4; third += 1) {
    for (let round = 0; round < rounds; round += 1) {
      const input = refused[given % refused.length] ?? new Uint8Array(0);
      given += 1;
      watch.begin(input);
      await tried(target, input);
      watch.end();
      if (given % 256 === 0) await nextTurn();
    }
    // The first round is for what is compiled, and filled, once.
    if (third > 0) memory.push(held(given, 0));
  }
  return growth(memory)?.what;
}
