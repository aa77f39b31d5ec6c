/** The call `Calls`: many calls of one client over one stream, each with its own steps, its own pace and its own end. */
import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { BrokerApi, FlightUpdate, InvokeInput, LocalCaller } from '../broker/api.ts';
import { BrokerError, invalid, overload, toBrokerError } from '../domain/errors.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { BeginCall, CallsRequest, CallsResponse, FollowFlightRequest } from '../gen/beckon/v1/invoke.ts';
import { list, whole } from '../rpc/fields.ts';
import { duplex } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { fitting } from '../rpc/status.ts';
import { CallSteps, Outlet } from './call-steps.ts';
import { KnownSelectors } from './known-selectors.ts';
import { decodeInvoke } from './requests.ts';
import type { SubmitRoom } from './submit-room.ts';
import { mostInMessage, WorkStream } from './work-stream.ts';

type CallsStream = ServerDuplexStream<CallsRequest, CallsResponse>;
type Updates = AsyncIterable<FlightUpdate>;

/** That have not ended, of one stream: as many as there can be streams of a connection. */
const mostOpen = 10_000;
const fullMs = 1_000;

/** Made once: an error of its own for each call that ends would have its stack taken. */
const left = new BrokerError('cancelled', 'the caller reads it no longer');

export interface CallsParts {
  readonly api: Pick<BrokerApi, 'submission' | 'follow' | 'findFlight'>;
  readonly edge: Edge<LocalCaller>;
  readonly room: SubmitRoom;
  /** Aborted when the node stops: what was taken goes on, and nothing more is read. */
  readonly stopping: AbortSignal;
  /** @throws BrokerError when the flight is none that the caller may see */
  readonly checkFamily: (caller: LocalCaller, id: string) => Promise<void>;
}

export function callsHandler(parts: CallsParts): handleBidiStreamingCall<CallsRequest, CallsResponse> {
  return duplex(parts.edge, (_caller, call) => {
    new Calls(parts, call).run();
  });
}

interface Open {
  readonly steps: CallSteps;
  readonly abort: AbortController;
}

class Calls {
  readonly #parts: CallsParts;
  readonly #call: CallsStream;
  readonly #outlet: Outlet;
  readonly #open = new Map<number, Open>();
  readonly #selectors = new KnownSelectors();
  readonly #stream: WorkStream<CallsRequest, CallsResponse>;
  /** Not accepted yet. */
  #taking = 0;

  constructor(parts: CallsParts, call: CallsStream) {
    this.#parts = parts;
    this.#call = call;
    this.#outlet = new Outlet(call, () => this.#stream.endIfDone());
    this.#stream = new WorkStream({
      ...parts,
      call,
      hint: 'ask again when it is back',
      taken: () => this.#taking,
      onMessage: (message) => this.#read(message),
      isDone: () => this.#open.size === 0 && this.#outlet.isEmpty,
      onOver: () => this.#over(),
    });
  }

  run(): void {
    this.#stream.run();
  }

  #read({ begin, read, leave }: CallsRequest): boolean {
    try {
      // These are of calls that were begun before.
      for (const number of list(read, 'read', mostInMessage)) this.#open.get(number)?.steps.wereRead();
      for (const number of list(leave, 'leave', mostInMessage)) this.#leave(number);
      if (this.#stream.isClosed || begin.length === 0) {
        this.#stream.endIfDone();
        return false;
      }
      this.#begin(list(begin, 'begin', mostInMessage));
      return true;
    } catch (thrown) {
      // Of no call in particular: nobody knows what its client means any more.
      this.#stream.fail(toBrokerError(thrown));
      return false;
    }
  }

  #leave(number: number): void {
    const open = this.#open.get(number);
    if (open === undefined) return;
    this.#open.delete(number);
    open.steps.drop();
    open.abort.abort(left);
  }

  /** @throws BrokerError what ends the stream: a number that is in use */
  #begin(calls: readonly BeginCall[]): void {
    const opened = this.#numbered(calls);
    let caller: LocalCaller;
    try {
      // Each time: a flight whose process calls may have ended.
      caller = this.#parts.edge.authenticate(this.#call);
    } catch (thrown) {
      for (const open of opened) this.#failed(open, thrown);
      return;
    }
    const invoked: { readonly open: Open; readonly input: InvokeInput }[] = [];
    for (const [index, open] of opened.entries()) {
      const what = calls[index]?.what;
      try {
        if (this.#open.size > mostOpen) throw overload(`this client has ${mostOpen} calls under way already`, fullMs);
        if (what === undefined) throw invalid('a call without what it is to do');
        if (what.$case === 'invoke') invoked.push({ open, input: decodeInvoke(caller, what.value, this.#selectors) });
        else void this.#tell(open, this.#followed(caller, what.value, open));
      } catch (thrown) {
        this.#failed(open, thrown);
      }
    }
    if (invoked.length > 0) this.#invoke(invoked);
  }

  /** What one message asks of one agent in the same way is looked up once. */
  #invoke(invoked: readonly { readonly open: Open; readonly input: InvokeInput }[]): void {
    const { api, room } = this.#parts;
    const accepting = api.submission()(invoked.map(({ input }) => input));
    for (const [index, { open, input }] of invoked.entries()) {
      const each = accepting[index];
      if (each === undefined) continue;
      const release = room.take(taskBytes(input.task));
      this.#taking += 1;
      const taken = (): void => {
        release();
        this.#taking -= 1;
        this.#stream.readOn();
      };
      each.then(
        ({ flight, deduplicated, notes }) => {
          taken();
          const { signal } = open.abort;
          return this.#tell(open, api.follow(flight.id, { afterSeq: 0, deduplicated, signal, ...(notes === undefined ? {} : { notes }) }));
        },
        (thrown: unknown) => {
          taken();
          this.#failed(open, thrown);
        },
      );
    }
  }

  async *#followed(caller: LocalCaller, { id, afterSeq }: FollowFlightRequest, { abort: { signal } }: Open): Updates {
    const { api, checkFamily } = this.#parts;
    await checkFamily(caller, id);
    const flight = await api.findFlight(id);
    yield* api.follow(flight.id, { afterSeq: whole(afterSeq, 'after_seq'), deduplicated: false, signal });
  }

  /** Pulls as fast as its own reader reads. */
  async #tell(open: Open, updates: Updates): Promise<void> {
    const { steps, abort } = open;
    try {
      for await (const update of updates) {
        if (abort.signal.aborted) return;
        const isLast = update.type === 'finished';
        if (isLast) this.#open.delete(steps.number);
        if (!steps.say(update, isLast)) await steps.room(abort.signal);
        if (isLast || abort.signal.aborted) return;
      }
      if (abort.signal.aborted) return;
      this.#open.delete(steps.number);
      steps.end();
    } catch (thrown) {
      this.#failed(open, thrown);
    }
  }

  #failed({ steps, abort }: Open, thrown: unknown): void {
    if (abort.signal.aborted) return;
    const error = toBrokerError(thrown);
    if (error.code === 'internal') this.#parts.edge.onFault(error, this.#call.getPath());
    this.#open.delete(steps.number);
    steps.end(fitting(error.toInfo()));
  }

  /** Nothing of a message is taken in which a number could mean two. */
  #numbered(calls: readonly BeginCall[]): Open[] {
    const numbers = new Set(calls.map(({ number }) => number));
    if (numbers.size < calls.length) throw invalid('one message gives the same number to two calls');
    for (const number of numbers) {
      if (this.#open.has(number)) throw invalid(`the number ${number} is in use: its call has not ended`);
    }
    return calls.map(({ number }) => {
      const open: Open = { steps: new CallSteps(number, this.#outlet), abort: new AbortController() };
      this.#open.set(number, open);
      return open;
    });
  }

  /** Nothing more is said. The flights go on. */
  #over(): void {
    this.#outlet.close();
    for (const { abort } of this.#open.values()) abort.abort(left);
    this.#open.clear();
  }
}
