/** The work of an isolated flight, as a fake broker shows it. */
import type { BrokerApi, DiffPart } from '../../src/broker/api.ts';
import { conflict } from '../../src/domain/errors.ts';
import { flightOfInvocation, invocationIdOf } from '../../src/domain/ids.ts';
import type { DiffSummary, Isolation } from '../../src/domain/worktree.ts';

const flightId = flightOfInvocation(invocationIdOf('01J9Z6M3T4V8Q2X7K5B1C00001'));

export class FakeWork {
  patch: Uint8Array = new Uint8Array();
  summary: Partial<DiffSummary> = {};
  isolation: Isolation = { head: 'a'.repeat(40), branch: 'beckon/b1c00001', dirty: 2, state: 'kept' };
  /** The next of these throws it. */
  failure: Error | undefined;
  readonly settled: Parameters<BrokerApi['settleWorktree']>[0][] = [];

  async *diff(_id: string): AsyncIterable<DiffPart> {
    this.#check();
    const { head, dirty } = this.isolation;
    const summary = { head, dirty, tree: 'b'.repeat(40), patchBytes: this.patch.length, truncated: false, files: [], fileCount: 0, nested: [], ...this.summary };
    yield await Promise.resolve({ type: 'begin', flightId, ownerName: 'desktop', summary } as const);
    for (let at = 0; at < this.patch.length; at += 100) yield { type: 'content', bytes: this.patch.subarray(at, at + 100) };
  }

  async settle(input: Parameters<BrokerApi['settleWorktree']>[0]): ReturnType<BrokerApi['settleWorktree']> {
    this.#check();
    await Promise.resolve();
    if (this.isolation.state !== 'kept') throw conflict(`its worktree was ${this.isolation.state} already`);
    this.settled.push(input);
    this.isolation = { ...this.isolation, state: input.verb };
    return { flightId, ownerName: 'desktop', isolation: this.isolation, tip: 'c'.repeat(40) };
  }

  #check(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}
