/** One call of an agent: its updates as they become durable, its end, and what its caller can do about it meanwhile. */
import { BrokerError, invalid, toBrokerError } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import type { TerminalFlightState } from '../domain/flight.ts';
import type { FlightId, InvocationId } from '../domain/ids.ts';
import type { FlightUpdate, NodeClient } from './types.ts';
import { BackingOff, isAway, isNotTaken, patienceMs, unanswered, usualOverloadMs, usualRetryMs } from './backing-off.ts';
import type { Pacing } from './backing-off.ts';
import { textOf, updateOf } from './updates.ts';
import type { AcceptedUpdate, Update } from './updates.ts';

/** How long the owner's word on a cancel or an answer is waited for, ms. */
const ownersWordMs = 30_000;

export interface CallOptions {
  /** Aborting cancels the flight, or, with `detach`, only stops reading it. */
  readonly signal?: AbortSignal;
  /** An abort leaves the flight to itself. */
  readonly detach?: boolean;
  /**
   * How long an invocation that its node refuses as `overload` is offered again, each time when the node said, ms; 60 s by
   * default, 0: the first refusal is told.
   */
  readonly overloadMs?: number;
}

export interface CallResult {
  readonly state: TerminalFlightState;
  /** All that the agent wrote to stdout and that is still stored, as UTF-8. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Some of it is gone: it was pruned. */
  readonly truncated: boolean;
  readonly exitCode?: number;
  /** Why it did not complete. */
  readonly error?: ErrorInfo;
  readonly flightId: FlightId;
  readonly invocationId: InvocationId;
  readonly target: string;
}

type Client = Pick<NodeClient, 'follow' | 'output' | 'cancelFlight' | 'replyToFlight'>;

interface Reading {
  readonly updates: AsyncIterator<FlightUpdate, unknown>;
  readonly abort: AbortController;
}

export interface CallSource {
  readonly client: Client;
  readonly pacing: Pacing;
  /** Asks for it, or follows it from the beginning. */
  readonly begin: (signal: AbortSignal) => AsyncIterable<FlightUpdate>;
  /** Whether `begin` may be done twice: an unanswered one may have been accepted. */
  readonly mayRepeat: boolean;
}

/**
 * The call is on its way as soon as it is made. Iterate over it for its updates, or await `result()`, or iterate first
 * and await then. It survives restarts of this machine's node: reading goes on after the last update. Leaving a loop
 * early stops the reading, not the flight. What it throws is a BrokerError; the end of a flight, whatever it is, is not
 * thrown but told.
 */
export class Call implements AsyncIterable<Update> {
  readonly #source: CallSource;
  readonly #options: CallOptions;
  readonly #backingOff: BackingOff;
  /** The first update that is read; the iteration begins with it. */
  readonly #first: Promise<Update | undefined>;
  #isFirstTaken = false;
  #reading: Reading | undefined;
  readonly #failed = new AbortController();
  #accepted: AcceptedUpdate | undefined;
  #finished: Extract<FlightUpdate, { type: 'finished' }> | undefined;
  #result: Promise<CallResult> | undefined;
  /** Somebody iterates; resolves when that is over. */
  #iteration: Promise<void> | undefined;
  readonly #onAbort = (): void => void this.#aborted();
  /** What was told before and is told again on a new stream. */
  readonly #told = new Set<string>();
  #lastSeq = 0;

  constructor(source: CallSource, options: CallOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.#backingOff = new BackingOff(source.pacing);
    this.#first = this.#begin();
    // It is thrown where it is waited for: `accepted`, the iteration, `result`.
    this.#first.catch(toBrokerError);
  }

  /** Resolves when the invocation is durable. @throws BrokerError why it was not accepted */
  get accepted(): Promise<AcceptedUpdate> {
    return this.#first.then(() => this.#accepted ?? Promise.reject(new BrokerError('internal', 'the node did not say what it accepted')));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Update, void, undefined> {
    if (this.#result !== undefined || this.#iteration !== undefined) throw invalid('the updates of a call are read once', 'iterate before you await result()');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#iteration = promise;
    try {
      for (let update = await this.#next(); update !== undefined; update = await this.#next()) yield update;
    } finally {
      this.#iteration = undefined;
      this.#stopReading();
      resolve();
    }
  }

  /** Resolves with the end of the flight, whatever it is; after the loop that reads the updates, if there is one. */
  result(): Promise<CallResult> {
    this.#result ??= this.#end();
    return this.#result;
  }

  /** `confirmed`: its owner said so. Otherwise the wish stands, and is repeated. @throws BrokerError `conflict` when it has ended */
  async cancel(): Promise<{ readonly state: string; readonly confirmed: boolean }> {
    const { flightId } = await this.accepted;
    const { flight, confirmed } = await this.#source.client.cancelFlight(flightId, ownersWordMs);
    return { state: flight.state, confirmed };
  }

  /** To the request that is open, or the one named. @throws BrokerError `conflict` when it comes too late */
  approve(request?: string): Promise<void> {
    return this.#say({ kind: 'approved' }, request);
  }

  deny(request?: string): Promise<void> {
    return this.#say({ kind: 'denied' }, request);
  }

  reply(text: string, request?: string): Promise<void> {
    return this.#say({ kind: 'text', text }, request);
  }

  async #say(reply: Parameters<Client['replyToFlight']>[0]['reply'], request: string | undefined): Promise<void> {
    const { flightId } = await this.accepted;
    await this.#source.client.replyToFlight({ id: flightId, reply, waitMs: ownersWordMs, ...(request === undefined ? {} : { request }) });
  }

  async #begin(): Promise<Update | undefined> {
    const { signal } = this.#options;
    if (signal?.aborted === true) throw new BrokerError('cancelled', 'aborted before it was invoked', { cause: signal.reason });
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    try {
      return await this.#read();
    } catch (thrown) {
      signal?.removeEventListener('abort', this.#onAbort);
      throw thrown;
    }
  }

  async #next(): Promise<Update | undefined> {
    if (this.#isFirstTaken) return this.#read();
    const first = await this.#first;
    this.#isFirstTaken = true;
    return first;
  }

  /** The next update that was not told before; undefined after the last. */
  async #read(): Promise<Update | undefined> {
    while (this.#finished === undefined) {
      this.#throwIfFailed();
      try {
        const reading = (this.#reading ??= this.#open());
        const step = await reading.updates.next();
        this.#throwIfFailed();
        if (step.done === true) throw new BrokerError('unavailable', 'the node here went away', { cause: 'the stream ended' });
        const update = this.#take(step.value);
        if (update !== undefined) return update;
      } catch (thrown) {
        this.#stopReading();
        this.#throwIfFailed();
        await this.#away(thrown);
      }
    }
    return undefined;
  }

  #open(): Reading {
    const { client, begin } = this.#source;
    const abort = new AbortController();
    const { signal } = abort;
    const updates = this.#accepted === undefined ? begin(signal) : client.follow(this.#accepted.flightId, { afterSeq: this.#lastSeq, signal });
    return { updates: updates[Symbol.asyncIterator](), abort };
  }

  #take(update: FlightUpdate): Update | undefined {
    this.#backingOff.worked();
    if (update.type === 'event') this.#lastSeq = update.event.seq;
    const told = updateOf(update);
    if (told === undefined || this.#isRepeated(told)) return undefined;
    if (told.type === 'accepted') this.#accepted = told;
    if (update.type === 'finished') {
      this.#finished = update;
      this.#options.signal?.removeEventListener('abort', this.#onAbort);
    }
    return told;
  }

  #isRepeated(update: Update): boolean {
    if (update.type !== 'accepted' && update.type !== 'held' && update.type !== 'received') return false;
    const what = update.type === 'held' ? `held ${update.why}` : update.type;
    const isKnown = this.#told.has(what);
    this.#told.add(what);
    return isKnown;
  }

  /** Resolves when it is time to try again. @throws what can't be mended by that */
  async #away(thrown: unknown): Promise<void> {
    if (this.#isOverloaded(thrown)) return this.#refused(thrown);
    if (!isAway(thrown)) throw thrown;
    if (this.#accepted === undefined && !this.#source.mayRepeat && !isNotTaken(thrown)) throw unanswered(thrown);
    if (this.#backingOff.forMs > patienceMs) throw thrown;
    await this.#backingOff.wait(this.#failed.signal);
  }

  /** Resolves when it is time to offer it again. @throws the refusal, when that went on for too long */
  async #refused(refusal: BrokerError): Promise<void> {
    const { signal, overloadMs = usualOverloadMs } = this.#options;
    const retryMs = refusal.retryAfterMs ?? usualRetryMs;
    if (this.#backingOff.forMs + retryMs > overloadMs) throw refusal;
    await this.#backingOff.waitFor(retryMs, AbortSignal.any([this.#failed.signal, ...(signal === undefined ? [] : [signal])]));
    if (signal?.aborted === true) throw new BrokerError('cancelled', 'aborted before it was accepted', { cause: signal.reason });
  }

  /** Before acceptance, that is: nothing of it was kept. */
  #isOverloaded(thrown: unknown): thrown is BrokerError {
    return this.#accepted === undefined && thrown instanceof BrokerError && thrown.code === 'overload';
  }

  #stopReading(): void {
    this.#reading?.abort.abort();
    this.#reading = undefined;
  }

  #throwIfFailed(): void {
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  #fail(error: BrokerError): void {
    this.#failed.abort(error);
    this.#stopReading();
  }

  /** The caller's signal: the flight is cancelled, and its end told; or it is let go. */
  async #aborted(): Promise<void> {
    const { signal, detach = false } = this.#options;
    const reason: unknown = signal?.reason;
    if (detach) return this.#fail(new BrokerError('cancelled', 'let go by its caller; the flight goes on', { cause: reason }));
    const backingOff = new BackingOff(this.#source.pacing);
    try {
      await this.#first;
      while (this.#finished === undefined) {
        try {
          const { confirmed } = await this.cancel();
          if (!confirmed) this.#fail(new BrokerError('cancelled', 'the cancel is not confirmed by its node yet; it stands, and is repeated', { cause: reason }));
          return;
        } catch (thrown) {
          // It had ended by itself: its end is on its way to the reader.
          if (thrown instanceof BrokerError && thrown.code === 'conflict') return;
          if (!isAway(thrown) || backingOff.forMs > patienceMs) throw thrown;
          await backingOff.wait();
        }
      }
    } catch (thrown) {
      this.#fail(toBrokerError(thrown));
    }
  }

  async #end(): Promise<CallResult> {
    if (this.#finished === undefined) await this.#iteration;
    let update = await this.#next();
    while (update !== undefined) update = await this.#next();
    const { invocationId, flightId, target } = await this.accepted;
    if (this.#finished === undefined) throw new BrokerError('internal', 'the node did not say how it ended');
    const { flight, output, truncated } = this.#finished;
    const { state, exitCode, error, stdoutBytes } = flight;
    if (!isTerminal(state)) throw new BrokerError('internal', `the node says that it ended ${state}`);
    const bytes = truncated ? await this.#output(flightId) : output;
    return {
      ...{ state, text: textOf(bytes), bytes, truncated: bytes.length < stdoutBytes, flightId, invocationId, target },
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(error === undefined ? {} : { error }),
    };
  }

  async #output(flightId: FlightId): Promise<Uint8Array> {
    for (;;) {
      try {
        const pieces: Uint8Array[] = [];
        for await (const piece of this.#source.client.output(flightId, 'stdout')) pieces.push(piece);
        return Buffer.concat(pieces);
      } catch (thrown) {
        await this.#away(thrown);
      }
    }
  }
}
