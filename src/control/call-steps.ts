/** What calls that share a stream have to say: in one message what there is at one moment, and of each call no more than its reader has room for. */
import type { FlightUpdate } from '../broker/api.ts';
import type * as wire from '../gen/beckon/v1/invoke.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';
import type { WritableCall } from '../rpc/turn-writer.ts';
import { encodeUpdate } from './views.ts';

/** Of one call, before its reader is asked whether it has read them, bytes. */
const pageBytes = 64 * 1024;
/** What a step takes beside what the agent wrote, about. */
const stepBytes = 256;
/** Asked for and not answered: then the call waits. */
const mostUnread = 2;
/** In one message, about: the library holds 16 that the client has not taken. */
const messageBytes = 256 * 1024;
/** Said and not written yet, of all calls together: then all wait. */
const mostWaiting = 1024 * 1024;
/** Calls that go on together when the client takes something again. */
const mostWoken = 16;

interface Waiting extends wire.CallSteps {
  bytes: number;
  isGone: boolean;
}

/** The stream: all that is said in one turn of the event loop shares a message. */
export class Outlet {
  readonly #writer: TurnWriter<wire.CallsResponse>;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #isBlocked = false;
  #isClosed = false;
  #blocked: (() => void)[] = [];

  constructor(call: WritableCall<wire.CallsResponse>, onEmpty: () => void) {
    this.#writer = new TurnWriter(call, {
      next: () => this.#next(),
      onEmpty: () => {
        this.#free();
        onEmpty();
      },
      onFull: () => void (this.#isBlocked = true),
      onDrain: () => this.#free(),
    });
  }

  get isEmpty(): boolean {
    return !this.#writer.isBusy;
  }

  /** The client takes nothing at all at the moment, or there is enough for it. */
  get isBlocked(): boolean {
    return this.#isBlocked || this.#bytes > mostWaiting;
  }

  /** What waits has become more. */
  grew(bytes: number): void {
    this.#bytes += bytes;
  }

  push(steps: Waiting): void {
    if (this.#isClosed) return;
    this.#waiting.push(steps);
    this.#writer.flushSoon();
  }

  /** When the client takes something again, or never will. */
  whenFree(wake: () => void): void {
    if (this.isBlocked) this.#blocked.push(wake);
    else wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#bytes = 0;
    this.#free();
  }

  #next(): wire.CallsResponse | undefined {
    while (this.#waiting.length > 0) {
      const steps = this.#take();
      if (steps.length > 0) return { steps };
    }
    return undefined;
  }

  #take(): wire.CallSteps[] {
    let bytes = 0;
    let count = 0;
    for (const each of this.#waiting) {
      if (count > 0 && bytes + each.bytes > messageBytes) break;
      bytes += each.bytes;
      count += 1;
    }
    this.#bytes -= bytes;
    const leaving = this.#waiting.splice(0, count).filter(({ isGone }) => !isGone);
    return leaving.map((each) => {
      const { number, updates, asksRead, isOver, error } = each;
      // What comes now begins a message of its own, and a call that waits holds nothing that has left.
      each.isGone = true;
      each.updates = [];
      return { number, updates, asksRead, isOver, error };
    });
  }

  #free(): void {
    this.#isBlocked = false;
    this.#wakeSome();
  }

  /** Not all at once: each says something before it sees that there is enough again. */
  #wakeSome(): void {
    for (const wake of this.#blocked.splice(0, this.#isClosed ? Infinity : mostWoken)) wake();
    if (this.#blocked.length === 0) return;
    setImmediate(() => {
      if (!this.isBlocked) this.#wakeSome();
    });
  }
}

/** One call. */
export class CallSteps {
  readonly number: number;
  readonly #outlet: Outlet;
  #last: Waiting | undefined;
  #pageBytes = 0;
  #unread = 0;
  #wake: (() => void) | undefined;

  constructor(number: number, outlet: Outlet) {
    this.number = number;
    this.#outlet = outlet;
  }

  /** False: wait for `room` before the next. */
  say(update: FlightUpdate, isLast: boolean): boolean {
    const steps = this.#open();
    const bytes = stepBytes + sizeOf(update);
    steps.updates.push(encodeUpdate(update));
    steps.bytes += bytes;
    this.#outlet.grew(bytes);
    steps.isOver = isLast;
    this.#pageBytes += bytes;
    if (this.#pageBytes >= pageBytes && !isLast) {
      steps.asksRead = true;
      this.#pageBytes = 0;
      this.#unread += 1;
    }
    return isLast || this.#isFree;
  }

  /** @param error why; none: there is nothing more to say here and now */
  end(error?: wire.CallSteps['error']): void {
    const steps = this.#open();
    steps.error = error;
    steps.isOver = true;
  }

  /** Its reader has come to where it was asked. */
  wereRead(): void {
    if (this.#unread > 0) this.#unread -= 1;
    this.#wake?.();
  }

  /** Nothing of it is said any more. */
  drop(): void {
    if (this.#last !== undefined) this.#last.isGone = true;
  }

  /** Resolves when its reader, and the stream, take more; or when `signal` aborts. */
  async room(signal: AbortSignal): Promise<void> {
    while (!this.#isFree && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = done;
        signal.addEventListener('abort', done);
        if (this.#outlet.isBlocked) this.#outlet.whenFree(done);
      });
    }
  }

  get #isFree(): boolean {
    return this.#unread < mostUnread && !this.#outlet.isBlocked;
  }

  /** What has not left yet takes more; after the end of a page the next begins. */
  #open(): Waiting {
    const last = this.#last;
    if (last !== undefined && !last.isGone && !last.asksRead) return last;
    const steps: Waiting = { number: this.number, updates: [], asksRead: false, isOver: false, error: undefined, bytes: 0, isGone: false };
    this.#last = steps;
    this.#outlet.push(steps);
    return steps;
  }
}

/** Of what may be large. */
function sizeOf(update: FlightUpdate): number {
  if (update.type === 'finished') return update.output.length;
  if (update.type !== 'event') return 0;
  const { body } = update.event;
  return body.kind === 'output' ? body.bytes.length : 0;
}
