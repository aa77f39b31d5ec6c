/** The call `Submit`: a client has many invocations accepted, and is answered for each as soon as it is durable or refused. */
import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { AcceptedFlight, BrokerApi, LocalCaller } from '../broker/api.ts';
import { invalid, toBrokerError } from '../domain/errors.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { Submission, Submitted, SubmitRequest, SubmitResponse } from '../gen/beckon/v1/invoke.ts';
import { list, required } from '../rpc/fields.ts';
import { duplex } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { fitting } from '../rpc/status.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';
import { KnownSelectors } from './known-selectors.ts';
import { decodeInvoke } from './requests.ts';
import type { SubmitRoom } from './submit-room.ts';
import { mostInMessage, WorkStream } from './work-stream.ts';

type SubmitStream = ServerDuplexStream<SubmitRequest, SubmitResponse>;

export interface SubmitParts {
  readonly api: Pick<BrokerApi, 'submission'>;
  readonly edge: Edge<LocalCaller>;
  readonly room: SubmitRoom;
  /** Aborted when the node stops: what was taken is answered, and nothing more is read. */
  readonly stopping: AbortSignal;
}

export function submitHandler(parts: SubmitParts): handleBidiStreamingCall<SubmitRequest, SubmitResponse> {
  return duplex(parts.edge, (_caller, call) => {
    new SubmitCall(parts, call).run();
  });
}

class SubmitCall {
  readonly #parts: SubmitParts;
  readonly #call: SubmitStream;
  readonly #writer: TurnWriter<SubmitResponse>;
  readonly #stream: WorkStream<SubmitRequest, SubmitResponse>;
  /** Numbers of what is taken and whose answer is not on its way to the client. */
  readonly #open = new Set<number>();
  readonly #selectors = new KnownSelectors();
  readonly #invokeEach: ReturnType<BrokerApi['submission']>;
  #answers: Submitted[] = [];

  constructor(parts: SubmitParts, call: SubmitStream) {
    this.#parts = parts;
    this.#call = call;
    this.#writer = new TurnWriter(call, { next: () => this.#next(), onEmpty: () => this.#answered() });
    this.#stream = new WorkStream({
      ...parts,
      call,
      hint: 'submit the rest again when it is back',
      // Enough is answered, here and in the node, and the client reads its answers.
      taken: () => this.#open.size,
      onMessage: (message) => this.#read(message),
      isDone: () => !this.#writer.isBusy && this.#open.size === 0,
      // What was taken goes on.
      onOver: () => undefined,
    });
    this.#invokeEach = parts.api.submission();
  }

  run(): void {
    this.#stream.run();
  }

  #read({ submissions }: SubmitRequest): boolean {
    if (this.#stream.isClosed) return false;
    try {
      this.#take(list(submissions, 'submissions', mostInMessage));
      return true;
    } catch (thrown) {
      this.#stream.close(toBrokerError(thrown));
      return false;
    }
  }

  /** @throws BrokerError what ends the call: a number that is in use, a caller that is one no longer */
  #take(submissions: readonly Submission[]): void {
    const { edge, room } = this.#parts;
    // Each time: a flight whose process calls may have ended.
    const caller = edge.authenticate(this.#call);
    const inputs: ReturnType<typeof decodeInvoke>[] = [];
    const numbers: number[] = [];
    this.#number(submissions);
    for (const { number, invoke } of submissions) {
      try {
        inputs.push(decodeInvoke(caller, required(invoke, 'invoke'), this.#selectors));
        numbers.push(number);
      } catch (thrown) {
        this.#refused(number, thrown);
      }
    }
    for (const [index, accepting] of this.#invokeEach(inputs).entries()) {
      const [number, task] = [numbers[index], inputs[index]?.task];
      if (number === undefined || task === undefined) continue;
      const leave = room.take(taskBytes(task));
      accepting.then(
        (accepted) => this.#answer(acceptedAs(number, accepted)),
        (thrown: unknown) => this.#refused(number, thrown),
      ).finally(leave);
    }
  }

  /** Nothing of a message is taken in which a number could mean two. */
  #number(submissions: readonly Submission[]): void {
    const numbers = new Set(submissions.map(({ number }) => number));
    if (numbers.size < submissions.length) throw invalid('one message gives the same number to two submissions');
    for (const number of numbers) {
      if (this.#open.has(number)) throw invalid(`the number ${number} is in use: what it was given to is not answered yet`);
    }
    for (const number of numbers) this.#open.add(number);
  }

  #refused(number: number, thrown: unknown): void {
    const error = toBrokerError(thrown);
    if (error.code === 'internal') this.#parts.edge.onFault(error, this.#call.getPath());
    this.#answer({ number, outcome: { $case: 'error', value: fitting(error.toInfo()) }, atMs: 0 });
  }

  /** What is answered in one turn of the event loop, as what one commit holds is, shares a message. */
  #answer(answer: Submitted): void {
    if (this.#stream.isOver) return;
    this.#answers.push(answer);
    this.#writer.flushSoon();
  }

  #next(): SubmitResponse | undefined {
    if (this.#stream.isOver || this.#answers.length === 0) return undefined;
    const answers = this.#answers;
    this.#answers = [];
    for (const { number } of answers) this.#open.delete(number);
    return { answers };
  }

  #answered(): void {
    this.#stream.readOn();
    this.#stream.endIfDone();
  }
}

function acceptedAs(number: number, { flight, deduplicated, notes = [] }: AcceptedFlight): Submitted {
  const { invocationId, id: flightId, target, acceptedAtMs: atMs } = flight;
  return { number, outcome: { $case: 'accepted', value: { invocationId, flightId, target, deduplicated, notes: [...notes] } }, atMs };
}
