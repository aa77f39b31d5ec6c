/** One turn as a flight sees it: what the agent says goes to the sink in order, what it asks to the people behind it. */
import type { z } from 'zod';
import { maxOutputChunk } from '../../domain/flight-event.ts';
import type { RunSink } from '../../domain/harness-port.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import type { Clock } from '../../domain/ports.ts';
import { readBy } from '../../domain/read-by.ts';
import { splitUtf8 } from '../../domain/text.ts';
import type { TurnPort } from './agent.ts';
import { update as anyUpdate, type permissionRequest, type TurnEnd } from './answers.ts';
import { askFor, isAllowed, outcomeOf, type Outcome } from './permission.ts';
import { elicit, type elicitation, type Elicited } from './question.ts';
import { TurnReport, usageOf, type Said } from './updates.ts';

/** Thoughts come in pieces of a word: they are gathered for as long, ms, or until there are as many characters. */
const thoughtMs = 1000;
const longestThought = 4 * 1024;

export interface TurnParts {
  readonly endpoint: Pick<Endpoint, 'cwd' | 'permissions'>;
  readonly sink: RunSink;
  readonly clock: Clock;
}

export class Turn implements TurnPort {
  readonly #parts: TurnParts;
  readonly #report: TurnReport;
  #thought = '';
  #stopTimer: (() => void) | undefined;
  /** A high surrogate whose other half has not come. */
  #half = '';
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: TurnParts) {
    this.#parts = parts;
    this.#report = new TurnReport(parts.endpoint.cwd);
  }

  /** What the sink threw, if it did: nothing that the agent does reaches anybody then. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  async update(update: unknown): Promise<void> {
    const read = readBy(anyUpdate, update);
    if (read?.success === true) await this.#tell(this.#report.take(read.data));
  }

  async permission({ toolCall, options }: z.infer<typeof permissionRequest>): Promise<Outcome> {
    const { endpoint, sink } = this.#parts;
    const { known, said } = this.#report.call(toolCall);
    await this.#tell(said);
    if (await isAllowed(endpoint.permissions, endpoint.cwd, known)) return outcomeOf({ kind: 'approved', by: 'permissions' }, options);
    await this.#tellThought();
    return outcomeOf(await sink.ask(askFor(endpoint.cwd, known, options)), options);
  }

  async question(request: z.infer<typeof elicitation>): Promise<Elicited> {
    await this.#tellThought();
    return await elicit(request, (ask) => this.#parts.sink.ask(ask));
  }

  /** Nothing more will be said. @param end undefined when the turn broke off. @throws what the sink did */
  async finish(end: TurnEnd | undefined): Promise<void> {
    await this.#tellThought();
    await this.#handOver(() => this.#print('', true));
    const usage = end === undefined ? undefined : usageOf(end);
    if (usage !== undefined) await this.#handOver(() => this.#parts.sink.progress(usage));
  }

  async #tell(all: readonly Said[]): Promise<void> {
    for (const said of all) {
      if (said.kind === 'thought') {
        await this.#think(said.text);
        continue;
      }
      await this.#tellThought();
      await this.#handOver(() => (said.kind === 'text' ? this.#print(said.text, false) : this.#parts.sink.progress(said)));
    }
  }

  /** One after the other. After one failure nothing is tried again. */
  #handOver(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => {
      if (this.#failure !== undefined) throw this.#failure.error;
      return work();
    });
    this.#last = done.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    return done;
  }

  async #think(text: string): Promise<void> {
    this.#thought += text;
    if (this.#thought.length >= longestThought) return this.#tellThought();
    this.#stopTimer ??= this.#parts.clock.setTimer(thoughtMs, () => {
      this.#tellThought().catch((error: unknown) => {
        // Thrown at the next report.
        this.#failure ??= { error };
      });
    });
  }

  async #tellThought(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const text = this.#thought;
    this.#thought = '';
    if (text.trim() !== '') await this.#handOver(() => this.#parts.sink.progress({ kind: 'thought', text }));
  }

  async #print(text: string, isEnd: boolean): Promise<void> {
    const whole = this.#half + text;
    const isCut = !isEnd && /[\uD800-\uDBFF]$/.test(whole);
    this.#half = isCut ? whole.slice(-1) : '';
    let left: Uint8Array = new TextEncoder().encode(isCut ? whole.slice(0, -1) : whole);
    while (left.length > 0) {
      const { head, rest } = splitUtf8(left, maxOutputChunk, true);
      await this.#parts.sink.output('stdout', head);
      left = rest;
    }
  }
}
