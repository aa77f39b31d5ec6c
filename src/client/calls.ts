/**
 * Many calls over one stream to the node: each costs a message's share of it, where a stream of its own costs more than all that it
 * carries. The stream is there while calls are under way, and a moment longer.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { status as grpcStatus } from '@grpc/grpc-js';
import { BrokerError, fromInfo, toBrokerError } from '../domain/errors.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { Clock } from '../domain/ports.ts';
import type { BeginCall, CallsRequest, CallsResponse, CallSteps } from '../gen/beckon/v1/invoke.ts';
import { decodeErrorInfo } from '../rpc/error-info.ts';
import { fromCall, isServiceError } from '../rpc/status.ts';
import { leastAnnounced } from '../rpc/task-bytes.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';
import { decodeUpdate } from './answers.ts';
import { notTaken } from './backing-off.ts';
import { asOurs } from './grpc-client.ts';
import { encodeInvoke } from './requests.ts';
import type { FlightUpdate, InvokeRequest, NodeClient, StreamOptions } from './types.ts';

type CallsStream = ClientDuplexStream<CallsRequest, CallsResponse>;
type What = NonNullable<BeginCall['what']>;

/** In one message: the node is at work on these while the next are written. */
const batchSize = 32;
/** How long a stream without calls is kept for the next one, ms: it would keep the process alive. */
const lingerMs = 20;

export interface CallsParts {
  /** What it throws is for `asOurs` to judge. */
  readonly open: () => CallsStream;
  /** For a node that has no `Calls`, and for tasks that it makes room for first: a stream a call. */
  readonly client: Pick<NodeClient, 'invoke' | 'follow'>;
  readonly clock: Pick<Clock, 'setTimer'>;
}

export class Calls {
  readonly #parts: CallsParts;
  #shared: SharedStream | undefined;
  #isKnownToNode = true;

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  /** As `NodeClient.invoke`. */
  invoke(request: InvokeRequest, { signal }: StreamOptions): AsyncIterable<FlightUpdate> {
    const alone = (): AsyncIterable<FlightUpdate> => this.#parts.client.invoke(request, { ...(signal === undefined ? {} : { signal }) });
    if (!this.#isKnownToNode || taskBytes(request.task) >= leastAnnounced) return alone();
    return this.#begin({ $case: 'invoke', value: encodeInvoke(request) }, alone, signal);
  }

  /** As `NodeClient.follow`. */
  follow(id: string, options: StreamOptions & { readonly afterSeq?: number }): AsyncIterable<FlightUpdate> {
    const alone = (): AsyncIterable<FlightUpdate> => this.#parts.client.follow(id, options);
    if (!this.#isKnownToNode) return alone();
    return this.#begin({ $case: 'follow', value: { id, afterSeq: options.afterSeq ?? 0, takesMore: true } }, alone, options.signal);
  }

  #begin(what: What, alone: () => AsyncIterable<FlightUpdate>, signal: AbortSignal | undefined): OneCall {
    const shared = this.#stream();
    const call = new OneCall(shared, alone, signal);
    shared.begin(call, what);
    return call;
  }

  #stream(): SharedStream {
    if (this.#shared?.isOpen === true) return this.#shared;
    const { open, clock } = this.#parts;
    const onUnknown = (): void => void (this.#isKnownToNode = false);
    return (this.#shared = new SharedStream(open, clock, onUnknown));
  }
}

/** One `Calls` stream, from its first call until there are none. */
class SharedStream {
  readonly #calls = new Map<number, OneCall>();
  readonly #stream: CallsStream | undefined;
  readonly #writer: TurnWriter<CallsRequest> | undefined;
  readonly #clock: CallsParts['clock'];
  readonly #onUnknown: () => void;
  #count = 0;
  #begin: BeginCall[] = [];
  #read: number[] = [];
  #leave: number[] = [];
  #isLingering = false;
  /** When the timer that ends it began, no call was there; and none has come since. */
  #isIdle = false;
  isOpen = true;

  constructor(open: () => CallsStream, clock: CallsParts['clock'], onUnknown: () => void) {
    this.#clock = clock;
    this.#onUnknown = onUnknown;
    try {
      const stream = open();
      this.#stream = stream;
      this.#writer = new TurnWriter(stream, { next: () => this.#next() });
      stream.on('data', ({ steps }: CallsResponse) => this.#take(steps));
      stream.once('error', (thrown: unknown) => this.#lost(thrown));
      stream.once('end', () => stream.once('status', () => this.#lost(undefined)));
    } catch (thrown) {
      process.nextTick(() => this.#lost(thrown));
    }
  }

  begin(call: OneCall, what: What): void {
    const number = this.#count % 2 ** 32;
    this.#count += 1;
    call.number = number;
    this.#calls.set(number, call);
    this.#isIdle = false;
    this.#begin.push({ number, what });
    this.#writer?.flushSoon();
  }

  /** Its reader has come to where the node asked. */
  wasRead(number: number): void {
    if (!this.#calls.has(number)) return;
    this.#read.push(number);
    this.#writer?.flushSoon();
  }

  leave(number: number): void {
    if (!this.#calls.delete(number)) return;
    const unsent = this.#begin.findIndex((each) => each.number === number);
    if (unsent === -1) this.#leave.push(number);
    else this.#begin.splice(unsent, 1);
    this.#writer?.flushSoon();
    this.#endIfIdle();
  }

  #take(steps: readonly CallSteps[]): void {
    for (const each of steps) {
      const call = this.#calls.get(each.number);
      if (call === undefined) continue;
      if (each.isOver) this.#calls.delete(each.number);
      call.take(each);
    }
    this.#endIfIdle();
  }

  #next(): CallsRequest | undefined {
    if (!this.isOpen || this.#begin.length + this.#read.length + this.#leave.length === 0) return undefined;
    return { begin: this.#begin.splice(0, batchSize), read: this.#read.splice(0, batchSize), leave: this.#leave.splice(0, batchSize) };
  }

  /** A timer for as long as calls follow one another, not one for each of them. */
  #endIfIdle(): void {
    if (this.#calls.size > 0 || !this.isOpen) return;
    if (this.#isLingering) return;
    this.#isLingering = true;
    this.#isIdle = true;
    this.#clock.setTimer(lingerMs, () => {
      this.#isLingering = false;
      if (!this.isOpen || this.#calls.size > 0) return;
      if (!this.#isIdle) return this.#endIfIdle();
      this.isOpen = false;
      this.#stream?.end();
    });
  }

  #lost(thrown: unknown): void {
    this.isOpen = false;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    if (isUnknownCall(thrown)) {
      this.#onUnknown();
      for (const call of calls) call.goAlone();
      return;
    }
    const error = lossOf(thrown);
    for (const call of calls) call.fail(error);
  }
}

/** Steps of one call, in the order of the node. One reader, one `next` at a time. */
class OneCall implements AsyncIterable<FlightUpdate>, AsyncIterator<FlightUpdate, undefined> {
  number = 0;
  readonly #shared: SharedStream;
  readonly #alone: () => AsyncIterable<FlightUpdate>;
  readonly #signal: AbortSignal | undefined;
  #instead: AsyncIterator<FlightUpdate, unknown> | undefined;
  #steps: CallSteps[] = [];
  /** Of the first of them, what is read next. */
  #at = 0;
  #end: { readonly error?: unknown } | undefined;
  #waiting: { readonly resolve: (result: IteratorResult<FlightUpdate, undefined>) => void; readonly reject: (reason: unknown) => void } | undefined;
  readonly #onAbort = (): void => void this.return();

  constructor(shared: SharedStream, alone: () => AsyncIterable<FlightUpdate>, signal: AbortSignal | undefined) {
    this.#shared = shared;
    this.#alone = alone;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<FlightUpdate, undefined>> {
    if (this.#instead !== undefined) return nextOf(this.#instead);
    try {
      const update = this.#shift();
      if (update !== undefined) return Promise.resolve({ done: false, value: update });
    } catch (thrown) {
      this.#over(thrown);
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
    const { error } = this.#end;
    this.#end = {};
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }

  async return(): Promise<IteratorResult<FlightUpdate, undefined>> {
    this.#shared.leave(this.number);
    this.#steps = [];
    this.#finish({});
    await this.#instead?.return?.();
    return { done: true, value: undefined };
  }

  take(steps: CallSteps): void {
    this.#steps.push(steps);
    if (this.#waiting === undefined) return;
    const { resolve, reject } = this.#waiting;
    this.#waiting = undefined;
    this.next().then(resolve, reject);
  }

  /** What was told before is still read. */
  fail(error: BrokerError): void {
    if (this.#steps.length === 0) this.#finish({ error });
    else this.#end ??= { error };
  }

  /** The node does not know `Calls`, and has taken none of it. */
  goAlone(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const instead = this.#alone()[Symbol.asyncIterator]();
    this.#instead = instead;
    if (this.#waiting === undefined) return;
    const { resolve, reject } = this.#waiting;
    this.#waiting = undefined;
    nextOf(instead).then(resolve, reject);
  }

  /** @throws BrokerError when it is none that can be read */
  #shift(): FlightUpdate | undefined {
    for (let steps = this.#steps[0]; steps !== undefined; steps = this.#steps[0]) {
      const update = steps.updates[this.#at];
      if (update !== undefined) {
        this.#at += 1;
        return decodeUpdate(update);
      }
      this.#steps.shift();
      this.#at = 0;
      if (steps.asksRead) this.#shared.wasRead(this.number);
      if (steps.isOver) this.#over(steps.error === undefined ? undefined : fromInfo(decodeErrorInfo(steps.error)));
    }
    return undefined;
  }

  #over(error: unknown): void {
    this.#shared.leave(this.number);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#end ??= error === undefined ? {} : { error };
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#end ??= end;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if (this.#end.error === undefined) waiting.resolve({ done: true, value: undefined });
    else waiting.reject(this.#end.error);
    this.#end = {};
  }
}

async function nextOf(iterator: AsyncIterator<FlightUpdate, unknown>): Promise<IteratorResult<FlightUpdate, undefined>> {
  const { done, value } = await iterator.next();
  return done === true ? { done, value: undefined } : { done: false, value };
}

/** No handler answered, since there is none: nothing was taken. */
function isUnknownCall(thrown: unknown): boolean {
  return isServiceError(thrown) && thrown.code === grpcStatus.UNIMPLEMENTED && fromCall(thrown).cause === thrown;
}

function lossOf(thrown: unknown): BrokerError {
  if (thrown === undefined) return new BrokerError('unavailable', 'the node here went away', { cause: 'the stream ended' });
  const error = toBrokerError(asOurs(fromCall(thrown)));
  // A node that says itself that it stops has ended all that it took.
  return error.code === 'unavailable' && error.cause === undefined ? new BrokerError('unavailable', error.message, { hint: error.hint, cause: notTaken }) : error;
}
