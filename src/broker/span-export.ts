/**
 * Tells the spans of what is stored, a page at a time, to where traces are gathered. It reads facts when they are durable
 * and nothing waits for it: what can't be told now stays in the store, where it is anyway, and no more than one page of
 * it is held here. What is too old by the time it could be told is dropped, and counted.
 */
import { backoff } from '../domain/backoff.ts';
import { spansOf } from '../domain/flight-spans.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Digest, Log, Random, Startable } from '../domain/ports.ts';
import type { Span, SpanSink } from '../domain/span.ts';
import type { StoryPage } from '../domain/observation.ts';
import { within } from '../domain/pause.ts';
import type { Store } from '../domain/store-port.ts';
import { WakeablePause } from './wakeable-pause.ts';

/** How often it is looked whether there are new facts. */
const everyMs = 1_000;
/** Between two pages: telling them takes no more than a part of a processor. */
const betweenMs = 20;
/** Facts of a page that end a span. */
const pageSize = 64;
/** What is older is told no more while the telling fails. */
const keptMs = 10 * 60_000;
/** What a node that comes back tells of the time before, at most. */
const pastMs = 60 * 60_000;
const retry = { baseMs: 2_000, capMs: 60_000 };
/** For what ends with the node. */
const lastMs = 2_000;

/** Up to which fact spans were told, kept over restarts. */
export interface SpanMark {
  read(): Promise<number | undefined>;
  write(fact: number): Promise<void>;
}

export interface SpanExportParts {
  readonly store: Pick<Store, 'read' | 'inspect'>;
  readonly sink: SpanSink;
  readonly mark: SpanMark;
  readonly nodeId: NodeId;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SpanCounts {
  readonly told: number;
  readonly dropped: number;
  /** Why none are taken now. */
  readonly failing?: { readonly why: string; readonly sinceMs: number };
}

export class SpanExport implements Startable {
  readonly #parts: SpanExportParts;
  #stopping = new AbortController();
  #working: Promise<void> | undefined;
  #after = 0;
  #marked = 0;
  #told = 0;
  #dropped = 0;
  #failures = 0;
  #failing: { readonly why: string; readonly sinceMs: number; readonly droppedBefore: number } | undefined;

  constructor(parts: SpanExportParts) {
    this.#parts = parts;
  }

  get host(): string {
    return this.#parts.sink.host;
  }

  counts(): SpanCounts {
    return { told: this.#told, dropped: this.#dropped, ...(this.#failing === undefined ? {} : { failing: { why: this.#failing.why, sinceMs: this.#failing.sinceMs } }) };
  }

  async start(): Promise<void> {
    if (this.#working !== undefined) return;
    this.#stopping = new AbortController();
    this.#after = await this.#begin();
    this.#marked = this.#after;
    this.#working = this.#work(this.#stopping.signal);
  }

  /** What is stored by now is still told, if that takes no time. */
  async stop(): Promise<void> {
    if (this.#working === undefined) return;
    this.#stopping.abort();
    if (this.#failing === undefined) await this.#last(this.#working);
    this.#working = undefined;
    await this.#keepMark();
    await this.#parts.sink.close();
  }

  async #last(working: Promise<void>): Promise<void> {
    const { clock, log } = this.#parts;
    let isLate = false;
    const last = working.then(() => this.#round(() => !isLate));
    await within(clock, lastMs, last).catch((error: unknown) => log.warn({ err: error }, 'the last spans could not be told'));
    isLate = true;
  }

  /** A store that was put back, or that never told any, begins with what comes. */
  async #begin(): Promise<number> {
    const { store, mark, clock } = this.#parts;
    const newest = store.read.newestFact();
    const marked = await mark.read();
    if (marked === undefined || marked > newest) return newest;
    return Math.max(marked, await store.inspect.factsBefore(clock.now() - pastMs));
  }

  async #work(signal: AbortSignal): Promise<void> {
    const pause = new WakeablePause(this.#parts.clock, signal);
    while (!signal.aborted) {
      try {
        await this.#round(() => !signal.aborted, (ms) => pause.wait(ms));
        if (!signal.aborted) await this.#keepMark();
      } catch (error) {
        this.#failed(error instanceof Error ? error.message : 'the store can not be read');
      }
      const waitMs = this.#failures === 0 ? everyMs : Math.max(everyMs, backoff(this.#failures - 1, retry, this.#parts.random()));
      if (!signal.aborted) await pause.wait(waitMs);
    }
  }

  /** All that is there, until one page is not taken. */
  async #round(goesOn: () => boolean, rest: (ms: number) => Promise<void> = () => Promise.resolve()): Promise<void> {
    const { store, nodeId, digest } = this.#parts;
    while (goesOn() && store.read.newestFact() > this.#after) {
      const page = await store.inspect.storiesIn(this.#after, pageSize);
      const spans = page.stories.flatMap((story) => (story.invocation.trace === undefined || (story.invocation.trace.flags & 1) === 0 ? [] : spansOf(story, nodeId, digest)));
      if (spans.length > 0 && !(await this.#tell(spans, page))) return;
      this.#after = page.next;
      if (page.more) await rest(betweenMs);
    }
  }

  /** @returns whether they are done with */
  async #tell(spans: readonly Span[], page: StoryPage): Promise<boolean> {
    if (this.#failing !== undefined && this.#isOld(page)) {
      this.#dropped += spans.length;
      return true;
    }
    const delivery = await this.#parts.sink.deliver(spans);
    switch (delivery.type) {
      case 'taken':
        this.#told += spans.length;
        this.#recovered();
        return true;
      case 'refused':
        this.#dropped += spans.length;
        this.#failed(delivery.why);
        return true;
      case 'failed':
        this.#failed(delivery.why);
        return false;
    }
  }

  #isOld({ stories }: StoryPage): boolean {
    const newest = Math.max(...stories.map(({ facts }) => facts.at(-1)?.atMs ?? 0));
    return newest < this.#parts.clock.now() - keptMs;
  }

  /** One line when it begins, and one when it is over. */
  #failed(why: string): void {
    const { log, clock, sink } = this.#parts;
    this.#failures += 1;
    if (this.#failing !== undefined) return;
    this.#failing = { why, sinceMs: clock.now(), droppedBefore: this.#dropped };
    log.warn({ host: sink.host, why }, 'traces are not taken; they are kept for 10 minutes and dropped then, and nothing else waits for it');
  }

  #recovered(): void {
    const failing = this.#failing;
    this.#failures = 0;
    this.#failing = undefined;
    if (failing !== undefined) this.#parts.log.info({ host: this.#parts.sink.host, lost: this.#dropped - failing.droppedBefore }, 'traces are taken again');
  }

  async #keepMark(): Promise<void> {
    if (this.#marked === this.#after) return;
    const after = this.#after;
    await this.#parts.mark.write(after);
    this.#marked = after;
  }
}
