/**
 * How much one invocation leads to. A chain has an end by its depth, but each of its agents may call many others: without a
 * bound on all of it together one bad answer of a model would set off as many runs as the queues of a node have room for.
 */
import { mostDescendants } from '../domain/ancestry.ts';
import { conflict } from '../domain/errors.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Log } from '../domain/ports.ts';

/** Roots whose descendants are counted; of more, those are forgotten that asked for nothing for longest. */
const mostRoots = 10_000;

export class Descendants {
  readonly #log: Log;
  readonly #most: number;
  readonly #mostRoots: number;
  readonly #counts = new Map<InvocationId, number>();
  /** Of these it was logged. */
  readonly #told = new Set<InvocationId>();

  constructor(log: Log, most = mostDescendants, roots = mostRoots) {
    this.#log = log;
    this.#most = most;
    this.#mostRoots = roots;
  }

  /**
   * Of what this node has accepted since it started. Nothing is counted for what a person asks.
   * @returns what gives the places back, for what was not stored after all
   * @throws BrokerError `conflict` when they would be more than one invocation may lead to
   */
  take(rootId: InvocationId | undefined, count: number): () => void {
    if (rootId === undefined) return () => undefined;
    const before = this.#counts.get(rootId) ?? 0;
    if (before + count > this.#most) {
      this.#refused(rootId, before);
      throw conflict(
        `what began as ${rootId} has led to ${before} invocations on this node already, and ${this.#most} are the most`,
        'let the agent do with fewer, or invoke what is left from outside of it',
      );
    }
    this.#counts.delete(rootId);
    this.#counts.set(rootId, before + count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > this.#mostRoots && oldest !== undefined) this.#forget(oldest);
    return () => {
      const now = this.#counts.get(rootId);
      if (now !== undefined) this.#counts.set(rootId, now - count);
    };
  }

  #refused(rootId: InvocationId, count: number): void {
    if (this.#told.has(rootId)) return;
    this.#told.add(rootId);
    this.#log.warn({ invocationId: rootId, count }, 'an invocation has led to as many others as it may; its agents are refused more');
  }

  #forget(rootId: InvocationId): void {
    this.#counts.delete(rootId);
    this.#told.delete(rootId);
  }
}
