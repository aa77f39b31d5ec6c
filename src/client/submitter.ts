/** Having many invocations accepted over one call that is made again when it is lost: a bounded number on their way, and each answered once. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { BrokerError, fromInfo, internal, toBrokerError } from '../domain/errors.ts';
import { checkTaskSize, taskBytes } from '../domain/invocation.ts';
import type { Submitted, SubmitRequest, SubmitResponse } from '../gen/beckon/v1/invoke.ts';
import { decodeErrorInfo } from '../rpc/error-info.ts';
import { fromCall } from '../rpc/status.ts';
import { decodeAccepted } from './answers.ts';
import { traceOfCall } from './active-trace.ts';
import { BackingOff, isAway, isNotTaken, patienceMs, unanswered, usualOverloadMs, usualRetryMs } from './backing-off.ts';
import type { Pacing } from './backing-off.ts';
import { asOurs } from './grpc-client.ts';
import { requestOf } from './invoke-options.ts';
import { encodeInvoke } from './requests.ts';
import { usualInFlight } from './submission.ts';
import type { Outcome, Submission, SubmitOptions, SubmitResult } from './submission.ts';
import { SubmitStream } from './submit-stream.ts';
import type { Outgoing } from './submit-stream.ts';

/** Of tasks, on their way at once; a larger one goes alone. */
const mostBytes = 8 * 1024 * 1024;

export interface SubmitterParts {
  /** Rejects when nothing could be sent. */
  readonly open: () => Promise<ClientDuplexStream<SubmitRequest, SubmitResponse>>;
  readonly pacing: Pacing;
  /** What may carry a trace. */
  readonly around: Readonly<Record<string, string>>;
}

interface Open<Each> extends Outgoing {
  readonly index: number;
  readonly submission: Each;
  /** When its node first took nothing more, monotonic ms. */
  refusedAtMs?: number;
  /** It is not at the node: it is offered again by and by. */
  isAside: boolean;
}

type Source<Each> = { next(): IteratorResult<Each, unknown> | Promise<IteratorResult<Each, unknown>>; return?(): unknown };

export class Submitter<Each extends Submission> {
  readonly #parts: SubmitterParts;
  readonly #options: SubmitOptions;
  readonly #source: Source<Each>;
  readonly #backingOff: BackingOff;
  /** Not answered, by the number in their message. */
  readonly #open = new Map<number, Open<Each>>();
  readonly #results: SubmitResult<Each>[] = [];
  #openBytes = 0;
  #count = 0;
  #isPulling = false;
  #isDrained = false;
  #stream: SubmitStream | undefined;
  #isAway = false;
  #failed: BrokerError | undefined;
  /** What was submitted before is answered first. */
  #sourceFault: { readonly thrown: unknown } | undefined;
  readonly #left = new AbortController();
  #wake: () => void = () => undefined;

  constructor(parts: SubmitterParts, submissions: Iterable<Each> | AsyncIterable<Each>, options: SubmitOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#backingOff = new BackingOff(parts.pacing);
    this.#source = Symbol.asyncIterator in submissions ? submissions[Symbol.asyncIterator]() : submissions[Symbol.iterator]();
  }

  async *results(): AsyncGenerator<SubmitResult<Each>, void, undefined> {
    const { signal } = this.#options;
    const abort = (): void => this.#fail(new BrokerError('cancelled', 'aborted by its caller; what was accepted goes on', { cause: signal?.reason }));
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      while (true) {
        if (this.#failed === undefined) this.#fill();
        const result = this.#results.shift();
        if (result !== undefined) {
          yield result;
          continue;
        }
        if (this.#failed !== undefined) throw this.#failed;
        if (this.#isDrained && this.#open.size === 0) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      this.#stream?.end();
      this.#stream = undefined;
      if (this.#sourceFault !== undefined) throw this.#sourceFault.thrown;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#left.abort();
      this.#stream?.cancel();
      if (!this.#isDrained) await this.#source.return?.();
    }
  }

  /** Takes from the source what there is room for. What is answered together is replaced together, unless its reader takes its time. */
  #fill(): void {
    const { inFlight = usualInFlight } = this.#options;
    if (this.#results.length > 0 && this.#open.size > inFlight / 2) return;
    while (!this.#isPulling && !this.#isDrained && this.#failed === undefined && this.#open.size + this.#results.length < inFlight && this.#openBytes < mostBytes) {
      const step = this.#next();
      if (!(step instanceof Promise)) {
        this.#take(step);
        continue;
      }
      this.#isPulling = true;
      step.then((taken) => this.#take(taken), (thrown: unknown) => this.#sourceFailed(thrown)).finally(() => {
        this.#isPulling = false;
        this.#fill();
        this.#wake();
      });
    }
  }

  #next(): IteratorResult<Each, unknown> | Promise<IteratorResult<Each, unknown>> {
    try {
      return this.#source.next();
    } catch (thrown) {
      this.#sourceFailed(thrown);
      return { done: true, value: undefined };
    }
  }

  #sourceFailed(thrown: unknown): void {
    this.#isDrained = true;
    this.#sourceFault ??= { thrown };
  }

  #take(step: IteratorResult<Each, unknown>): void {
    if (step.done === true) {
      this.#isDrained = true;
      return;
    }
    const submission = step.value;
    const index = this.#count;
    this.#count += 1;
    try {
      const { address, task = '' }: Submission = submission;
      const request = requestOf(address, task, submission, address === '.' ? process.cwd() : '', traceOfCall(submission.trace, this.#parts.around));
      checkTaskSize(request.task);
      const number = index % 2 ** 32;
      const open = { index, submission, message: { number, invoke: encodeInvoke(request) }, bytes: taskBytes(request.task), isAside: false };
      this.#open.set(number, open);
      this.#openBytes += open.bytes;
      this.#send(open);
    } catch (thrown) {
      this.#results.push({ index, submission, error: toBrokerError(thrown) });
    }
  }

  #send(open: Outgoing): void {
    if (this.#isAway) return;
    if (this.#stream === undefined) this.#connect();
    else this.#stream.send(open);
  }

  /** What is open is sent when there is a connection. */
  #connect(): void {
    this.#isAway = true;
    this.#parts.open().then((call) => this.#connected(call), (thrown: unknown) => this.#notConnected(toBrokerError(thrown)));
  }

  #connected(call: ClientDuplexStream<SubmitRequest, SubmitResponse>): void {
    const stream: SubmitStream = new SubmitStream(call, {
      answered: (answers) => this.#answered(answers),
      over: (thrown) => {
        if (this.#stream === stream) this.#over(thrown);
      },
    });
    if (this.#left.signal.aborted) return stream.cancel();
    this.#stream = stream;
    this.#isAway = false;
    for (const open of this.#open.values()) if (!open.isAside) stream.send(open);
  }

  #answered(answers: readonly Submitted[]): void {
    this.#backingOff.worked();
    for (const answer of answers) {
      const open = this.#open.get(answer.number);
      if (open === undefined) continue;
      const outcome = outcomeOf(answer);
      if (outcome.error?.code !== 'overload' || !this.#putAside(open, outcome.error)) this.#settle(answer.number, open, outcome);
    }
    this.#wake();
  }

  /** Offers it again when its node said; meanwhile it keeps its place, so that less is taken from the source. False when that has gone on for too long. */
  #putAside(open: Open<Each>, { retryAfterMs = usualRetryMs }: BrokerError): boolean {
    const { clock, random } = this.#parts.pacing;
    const { overloadMs = usualOverloadMs } = open.submission;
    open.refusedAtMs ??= clock.monotonic();
    if (clock.monotonic() - open.refusedAtMs + retryAfterMs > overloadMs) return false;
    open.isAside = true;
    const release = clock.setTimer(Math.max(1, Math.ceil(retryAfterMs * (1 + random() / 2))), () => {
      this.#left.signal.removeEventListener('abort', release);
      open.isAside = false;
      this.#send(open);
    });
    this.#left.signal.addEventListener('abort', release, { once: true });
    return true;
  }

  #settle(number: number, { index, submission, bytes }: Open<Each>, outcome: Outcome): void {
    this.#open.delete(number);
    this.#openBytes -= bytes;
    this.#results.push({ index, submission, ...outcome });
  }

  /** The call ended while it was needed: it is made again, unless nothing is mended by that. */
  #over(thrown: unknown): void {
    this.#stream = undefined;
    const error = thrown === undefined ? new BrokerError('unavailable', 'the node here went away', { cause: 'the call ended' }) : toBrokerError(asOurs(fromCall(thrown)));
    // A node that says itself that it stops has answered all that it took.
    if (isAway(error) && !isNotTaken(error)) this.#loseUnkeyed(error);
    this.#notConnected(error);
  }

  #notConnected(error: BrokerError): void {
    if (error.code !== 'unavailable' || this.#backingOff.forMs > patienceMs) return this.#fail(error);
    this.#isAway = true;
    void this.#backingOff.wait(this.#left.signal).then(() => {
      if (!this.#left.signal.aborted) this.#connect();
    });
    this.#wake();
  }

  /** Asked for again it could be a second one. */
  #loseUnkeyed(lost: BrokerError): void {
    for (const [number, open] of this.#open) {
      if (open.submission.key === undefined && !open.isAside) this.#settle(number, open, { error: unanswered(lost) });
    }
  }

  #fail(error: BrokerError): void {
    this.#failed ??= error;
    this.#wake();
  }
}

function outcomeOf({ outcome, atMs }: Submitted): Outcome {
  try {
    if (outcome?.$case === 'accepted') return { accepted: decodeAccepted(atMs, outcome.value) };
    return { error: outcome === undefined ? internal('the node did not say what became of it') : fromInfo(decodeErrorInfo(outcome.value)) };
  } catch (thrown) {
    return { error: toBrokerError(thrown) };
  }
}
