/** Boundaries that are many small readers: the first byte of an input says which, the rest is what it reads. */
import type { ConfigFlaw } from '../../../src/domain/config-view.ts';
import { BrokerError, invalid } from '../../../src/domain/errors.ts';
import { holds } from '../engine/boundary.ts';
import type { Verdict } from '../engine/boundary.ts';

/** Reads, and checks what it read. @returns false for what it documents as no value; @throws BrokerError for a refusal */
export type Reader = (text: string, bytes: Uint8Array) => boolean | void | Promise<boolean | void>;

export interface Readers {
  run(input: Uint8Array): Verdict | Promise<Verdict>;
  /** An input for the reader of that name. */
  input(name: string, content: string | Uint8Array): Uint8Array;
}

export function readersOf(readers: Readonly<Record<string, Reader>>): Readers {
  const all = Object.entries(readers);
  return {
    run(input) {
      const content = input.subarray(1);
      const [, read] = all[(input[0] ?? 0) % all.length] ?? [];
      return refusedOr(() => read?.(Buffer.from(content).toString(), content));
    },
    input: (name, content) => Buffer.concat([Buffer.from([Object.keys(readers).indexOf(name)]), Buffer.from(content)]),
  };
}

/** `internal` is a defect in other words: nobody's refusal. @throws what `work` throws besides */
export function refusedOr(work: () => boolean | void | Promise<boolean | void>): Verdict | Promise<Verdict> {
  try {
    const done = work();
    return done instanceof Promise ? done.then(verdictOf, refusal) : verdictOf(done);
  } catch (error) {
    return refusal(error);
  }
}

export function refusal(error: unknown): Verdict {
  if (error instanceof BrokerError && error.code !== 'internal') return 'refused';
  throw error;
}

/** What is given to a reader of values already read. @throws BrokerError `invalid` for what is no JSON: it would not come so far */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('that is no JSON');
  }
}

/** Of a file that a person wrote: one line for each flaw, without what drives a terminal, and where it is. */
export function areToldWell(text: string, flaws: readonly ConfigFlaw[]): void {
  const lines = text.split('\n').length;
  for (const { line, column, message, hint } of flaws) {
    // eslint-disable-next-line no-control-regex
    holds(message !== '' && !/[\n\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(message) && hint !== '', 'what is wrong is said in one line, with a hint');
    holds(line === undefined || (line >= 1 && line <= lines && (column ?? 1) >= 1), 'what is wrong has a place in the file');
  }
}

const verdictOf = (isValue: boolean | void): Verdict => (isValue === false ? 'refused' : 'accepted');
