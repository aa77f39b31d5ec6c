/** What is fuzzed: a place where bytes of others come in, and what has to hold there. */
import type { Dice } from '../../chaos/dice.ts';

export type Verdict = 'accepted' | 'refused';

export interface Target {
  /**
   * Gives the input to the code that reads it in a running node. `refused` is the documented refusal and nothing else; what was
   * accepted is well-formed. @throws anything that is not as it should be: each is a find
   */
  run(input: Uint8Array): Verdict | Promise<Verdict>;
  /** Before each input: time passes, what the last one set off is over. */
  settle?(): void | Promise<void>;
  /** All that a refused input may not change, as one text. */
  state?(): string;
  /** What was accepted has its place in the world that is fuzzed: a new one. */
  renew?(): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface Boundary {
  readonly name: string;
  /** One line. */
  readonly what: string;
  /** Well-formed inputs, by what they are. */
  readonly seeds: () => Readonly<Record<string, Uint8Array>> | Promise<Readonly<Record<string, Uint8Array>>>;
  /** Texts that mean something there. */
  readonly words?: readonly string[];
  /** A change that knows the form of the input. */
  readonly mutate?: Mutate;
  readonly open: () => Target | Promise<Target>;
  /** Inputs that one world lives through; 20,000 unless told. */
  readonly renewEvery?: number;
  readonly longest?: number;
}

/** @param other another input of the same boundary */
export type Mutate = (input: Uint8Array, dice: Dice, other: Uint8Array) => Uint8Array;

/** What an oracle says of a value that was accepted and is not well-formed. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** @throws Broken */
export function holds(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new Broken(promise);
}
