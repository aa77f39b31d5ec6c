/** What a program says when it has many invocations accepted, and what it is told of each. */
import type { BrokerError } from '../domain/errors.ts';
import type { Content, InvokeOptions } from './invoke-options.ts';
import type { AcceptedUpdate } from './updates.ts';

/** One of many. What else it holds comes back with its result. */
export interface Submission extends Omit<InvokeOptions, 'signal' | 'detach'> {
  readonly address: string;
  /** It may be left out. */
  readonly task?: Content;
}

export interface SubmitOptions {
  /** How many are on their way, or answered and not read, at most: 1 to 10,000, 64 by default. */
  readonly inFlight?: number;
  /** Aborting ends it with `cancelled`; what was accepted goes on. */
  readonly signal?: AbortSignal;
}

/** Durable, or why it was not accepted. */
export type Outcome = { readonly accepted: AcceptedUpdate; readonly error?: never } | { readonly error: BrokerError; readonly accepted?: never };

/** `index`: the how-manieth of those submitted, from 0. */
export type SubmitResult<Each extends Submission = Submission> = Outcome & { readonly index: number; readonly submission: Each };

export const usualInFlight = 64;
export const mostInFlight = 10_000;
