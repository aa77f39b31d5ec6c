/** Ctrl-C and its kin while a flight is watched: letting go, or a cancel and the truth about it. */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import { pause, within } from '../domain/pause.ts';
import type { Context } from './context.ts';
import type { StopSignal } from './host.ts';

export type OnSignal = 'cancel' | 'detach';

/** Where it says what it does. */
export interface Screen {
  note(text: string): void;
  /** The cursor goes to the beginning of a line. */
  breakLine(): void;
}

/** What was accepted: a flight, or a group of them. */
export interface Interruptible {
  /** Resolves with whether its owner has confirmed it. @throws BrokerError `conflict` when it has ended by itself */
  cancel(): Promise<boolean>;
  /** The command that looks at it later. */
  readonly again: string;
  /** What a line of JSON names it by. */
  readonly fields: object;
}

export interface InterruptOptions {
  /** What a signal does; undefined: a terminal is asked, and without one it cancels. */
  readonly onSignal: OnSignal | undefined;
  readonly quiet: boolean;
}

/** How long the owner's word on a cancel is waited for. */
export const cancelWaitMs = 30_000;
/** How long the last word of a confirmed cancel may take to come through the stream. */
const lastWordMs = 5_000;

export class Interrupts {
  readonly #context: Context;
  readonly #options: InterruptOptions;
  readonly #screen: Screen;
  readonly #reading = new AbortController();
  #accepted: Interruptible | undefined;
  #cancelling: PromiseWithResolvers<void> | undefined;
  #wanted: OnSignal | undefined;
  #question: AbortController | undefined;
  #answered: Promise<void> = Promise.resolve();
  #release: (() => void) | undefined;

  constructor(context: Context, options: InterruptOptions, screen: Screen) {
    this.#context = context;
    this.#options = options;
    this.#screen = screen;
  }

  /** Aborts when the flight is let go. */
  get reading(): AbortSignal {
    return this.#reading.signal;
  }

  /** Resolves when no question stands on the terminal. */
  get quiet(): Promise<void> {
    return this.#answered;
  }

  /** Resolves when a cancel that is under way is answered, or soon: the flight's end may come first, and says less. */
  get cancelTold(): Promise<void> {
    return this.#cancelling === undefined ? Promise.resolve() : within(this.#context.host.clock, lastWordMs, this.#cancelling.promise);
  }

  start(): void {
    const { host, out } = this.#context;
    this.#release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], (signal) => this.#onSignal(signal));
    out.readerGone.addEventListener('abort', () => this.#reading.abort(), { once: true });
  }

  stop(): void {
    this.#release?.();
    this.#question?.abort();
  }

  accepted(what: Interruptible): void {
    this.#accepted = what;
    // Wanted before there was anything to cancel or to leave.
    if (this.#wanted !== undefined) this.#carryOut(this.#wanted);
  }

  #onSignal(signal: StopSignal): void {
    if (signal === 'SIGHUP') return this.#want('detach');
    if (this.#wanted !== undefined && this.#accepted === undefined) return this.#leave('let go before the node had answered, and nothing was cancelled: look with beckon flights');
    if (this.#wanted === 'cancel') return this.#leave('the cancel is not confirmed: the request stands', 'cancel_requested');
    if (this.#wanted === 'detach') return;
    if (this.#question !== undefined) {
      this.#question.abort();
      return this.#want('cancel');
    }
    const { readKey } = this.#context.host;
    const isAsked = signal === 'SIGINT' && this.#options.onSignal === undefined && readKey !== undefined;
    if (isAsked) this.#answered = this.#ask(readKey);
    else this.#want(this.#options.onSignal ?? 'cancel');
  }

  async #ask(readKey: NonNullable<Context['host']['readKey']>): Promise<void> {
    const { stderr } = this.#context.host;
    const { noteColours: paint } = this.#context.out;
    const question = new AbortController();
    this.#question = question;
    // The terminal has shown ^C where the cursor was.
    this.#screen.breakLine();
    stderr.write(`\n(${paint.bold('d')})etach, (${paint.bold('c')})ancel or (${paint.bold('k')})eep waiting? `);
    const answer = await this.#answer(readKey, question.signal);
    this.#question = undefined;
    if (question.signal.aborted) return;
    stderr.write(`${answer}\n`);
    if (answer !== 'keep') this.#want(answer);
  }

  async #answer(readKey: NonNullable<Context['host']['readKey']>, signal: AbortSignal): Promise<OnSignal | 'keep'> {
    while (!signal.aborted) {
      const key = await readKey(signal);
      if (key === undefined || key.toLowerCase() === 'd') return 'detach';
      // Ctrl-C arrives as a character where the terminal hands over every key.
      if (key === '\u0003' || key.toLowerCase() === 'c') return 'cancel';
      if (key.toLowerCase() === 'k' || key === '\r' || key === '\n' || key === '\u001b') return 'keep';
    }
    return 'keep';
  }

  #want(what: OnSignal): void {
    this.#wanted = what;
    if (this.#accepted !== undefined) this.#carryOut(what);
  }

  #carryOut(what: OnSignal): void {
    const accepted = this.#accepted;
    if (accepted === undefined) return;
    if (what === 'detach') return this.#leave(`let go, it goes on: ${accepted.again}`, 'detached');
    this.#screen.note('cancelling…');
    this.#cancelling = Promise.withResolvers();
    this.#cancel(accepted).catch((thrown: unknown) => this.#leave(`the cancel failed: ${toBrokerError(thrown).message}`));
  }

  async #cancel(accepted: Interruptible): Promise<void> {
    try {
      if (!(await accepted.cancel())) return this.#leave('the cancel is not confirmed: its node has not answered; the request stands', 'cancel_requested');
      this.#screen.note('the cancel is confirmed');
      this.#cancelling?.resolve();
      await pause(this.#context.host.clock, lastWordMs);
      this.#reading.abort();
    } catch (thrown) {
      this.#cancelling?.resolve();
      // It ended by itself; the stream says how.
      if (thrown instanceof BrokerError && thrown.code === 'conflict') return;
      throw thrown;
    }
  }

  /** Ends the reading; the flight goes on. */
  #leave(words: string, type = 'detached'): void {
    if (this.#reading.signal.aborted) return;
    this.#cancelling?.resolve();
    const { out } = this.#context;
    if (out.isJson) {
      const confirmed = type === 'cancel_requested' ? { confirmed: false } : {};
      // Nobody may be reading any more; then there is nobody to tell.
      void Promise.allSettled([out.event(type, { ...this.#accepted?.fields, ...confirmed, why: words })]);
    } else {
      this.#screen.breakLine();
      out.note(words);
    }
    this.#reading.abort();
  }
}
