/**
 * One run of an agent that a process serves: it waits for a process with room, is handed to it, and takes what comes
 * back piece by piece, over as many connections as that needs. What was never handed over can't have run; what was, and
 * of which nobody hears any more, may have.
 */
import { invalid, toBrokerError } from '../../domain/errors.ts';
import type { ErrorInfo } from '../../domain/errors.ts';
import { maxOutputChunk } from '../../domain/flight-event.ts';
import type { Run, RunEnd, RunRequest, RunSink } from '../../domain/harness-port.ts';
import type { CancelTimer, Clock } from '../../domain/ports.ts';
import { reconnectMs, sizeOfPiece, windowBytes } from '../../domain/serving-port.ts';
import type { FromServer, Piece, RunKey, ServerLink, ToServer } from '../../domain/serving-port.ts';
import { RunAnswers } from './run-answers.ts';

/** A well-made process keeps to the window; it may count a little otherwise than this version. */
const mostUnstoredBytes = 2 * windowBytes;

export interface AttachedRunOptions {
  readonly clock: Clock;
  /** It is over: its place is free. */
  readonly onOver: () => void;
  /** Its end is durable: it can be forgotten. */
  readonly onSettled: () => void;
  /** It was at work when its node died; so many of its pieces are durable. */
  readonly adopted?: { readonly pieces: number };
}

export class AttachedRun implements Run {
  readonly key: RunKey;
  readonly ended: Promise<RunEnd>;
  readonly #request: RunRequest;
  readonly #sink: RunSink;
  readonly #options: AttachedRunOptions;
  readonly #answers: RunAnswers;
  readonly #end = Promise.withResolvers<RunEnd>();
  /** Its process works on it no more, or is not waited for any more. */
  readonly #left = Promise.withResolvers<void>();
  #phase: 'waiting' | 'served' | 'over';
  /** Of the process that it was handed to; unknown after the node died. */
  #serverId: string | undefined;
  #link: ServerLink | undefined;
  #cancelTimer: CancelTimer | undefined;
  /** Of the last piece taken, and of the last that is durable. */
  #received: number;
  #stored: number;
  /** Of each piece between the two. */
  readonly #sizes: number[] = [];
  #unstoredBytes = 0;
  /** All that was handed to the sink has found room. */
  #taken: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #stopping: { readonly graceMs: number; readonly untilMs: number; readonly done: Promise<number> } | undefined;

  constructor(request: RunRequest, sink: RunSink, options: AttachedRunOptions) {
    const { adopted } = options;
    this.key = { flightId: request.flightId, run: request.run };
    this.#request = request;
    this.#sink = sink;
    this.#options = options;
    this.ended = this.#end.promise;
    this.#answers = new RunAnswers(this.key, (ask) => sink.ask(ask), (message) => this.#link?.send(message));
    this.#received = adopted?.pieces ?? 0;
    this.#stored = this.#received;
    this.#phase = adopted === undefined ? 'waiting' : 'served';
    this.#watch();
  }

  get isWaiting(): boolean {
    return this.#phase === 'waiting';
  }

  /** With a process, connected or not. */
  get isServed(): boolean {
    return this.#phase === 'served';
  }

  get isLost(): boolean {
    return this.#phase === 'served' && this.#link === undefined;
  }

  get received(): number {
    return this.#received;
  }

  isWith(serverId: string): boolean {
    return this.#serverId === serverId;
  }

  /** Whether that process may go on with it: its own, or, when it outlived its node, any that knows it. */
  isFor(serverId: string): boolean {
    return this.isWith(serverId) || (this.isLost && this.#serverId === undefined);
  }

  /** To a process with room. */
  handTo(serverId: string, link: ServerLink): void {
    const { invocationId, task, session, flightEnv } = this.#request;
    this.#phase = 'served';
    this.#serverId = serverId;
    this.#link = link;
    this.#watch();
    link.send({ type: 'start', run: { ...this.key, invocationId, task, environment: flightEnv, ...(session === undefined ? {} : { session }) } });
  }

  /** Its process is back and still has it. Call after `attached` was said. */
  resumeWith(serverId: string, link: ServerLink): void {
    this.#serverId = serverId;
    this.#link = link;
    this.#watch();
    // It counts against the window until the process knows: what said so may have been lost, and nothing more may come to be stored.
    if (this.#stored > 0 && !this.#hasEnded) link.send({ type: 'stored', key: this.key, pieces: this.#stored });
    this.#answers.repeat();
    if (this.#stopping !== undefined && this.#phase === 'served') link.send({ type: 'stop', key: this.key });
  }

  /** Its process is connected and never got it: another may have it. */
  takeBack(): void {
    if (this.#phase !== 'served') return;
    this.#phase = 'waiting';
    this.#serverId = undefined;
    this.#link = undefined;
    if (this.#stopping === undefined) this.#watch();
    else this.#finish({ error: stoppedBefore });
  }

  /** The connection of its process is gone. */
  lost(): void {
    this.#link = undefined;
    this.#watch();
  }

  /** @throws BrokerError `invalid` */
  receive(message: Exclude<FromServer, { type: 'drain' }>): void {
    if (this.#phase !== 'served' || this.#hasEnded) return;
    switch (message.type) {
      case 'piece':
        return this.#take(message.number, message.piece);
      case 'ask':
        return this.#answers.ask(message.number, message.ask);
      case 'session':
        this.#after(this.#sink.bindSession(message.name));
        return;
      case 'end': {
        const end = message.error === undefined ? { exitCode: 0 } : { exitCode: 1, error: message.error };
        this.#hasEnded = true;
        this.#left.resolve();
        void this.#taken.then(() => this.#finish(end));
      }
    }
  }

  /**
   * Asks its process to end it, as soon as it is there, and gives it `graceMs`, twice that at most.
   * @returns 0: no process is ended, it serves others
   */
  stop(graceMs: number): Promise<number> {
    if (this.#phase === 'over') return Promise.resolve(0);
    if (this.#stopping === undefined) {
      // One that was away has the time anew when it is back; one that comes and goes is not waited for for ever.
      this.#stopping = { graceMs, untilMs: this.#options.clock.monotonic() + 2 * graceMs, done: this.#left.promise.then(() => 0) };
      if (this.#phase === 'waiting') this.#finish({ error: stoppedBefore });
      else this.#link?.send({ type: 'stop', key: this.key });
      this.#watch();
    }
    return this.#stopping.done;
  }

  stored(pieces: number): void {
    const total = (this.#options.adopted?.pieces ?? 0) + pieces;
    for (; this.#stored < total; this.#stored += 1) this.#unstoredBytes -= this.#sizes.shift() ?? 0;
    // After its end `closed` says it all.
    if (!this.#hasEnded) this.#say({ type: 'stored', key: this.key, pieces: this.#stored });
  }

  settled(): void {
    this.#say({ type: 'closed', key: this.key });
    this.#options.onSettled();
  }

  #take(number: number, piece: Piece): void {
    if (number <= this.#received) return;
    if (number !== this.#received + 1) return this.#gap(number);
    if ('bytes' in piece && (piece.bytes.length === 0 || piece.bytes.length > maxOutputChunk)) {
      throw invalid(`a piece of output has 1 to ${maxOutputChunk} bytes, not ${piece.bytes.length}`);
    }
    const size = sizeOfPiece(piece);
    if (this.#unstoredBytes + size > mostUnstoredBytes) throw invalid(`${this.key.flightId} has more than ${mostUnstoredBytes} bytes on the way`);
    this.#received = number;
    this.#sizes.push(size);
    this.#unstoredBytes += size;
    // Not held back until the sink has room: the window bounds what waits there.
    this.#after('bytes' in piece ? this.#sink.output(piece.stream, piece.bytes) : this.#sink.progress(piece.progress));
  }

  /** A node whose store was put back without its knowing counts fewer pieces than its process was told are durable. */
  #gap(number: number): void {
    if (this.#options.adopted === undefined) throw invalid(`piece ${number} of ${this.key.flightId} can't follow piece ${this.#received}`);
    this.#say({ type: 'stop', key: this.key });
    this.#finish(partLost);
  }

  /** The end waits for it. */
  #after(taken: Promise<void>): void {
    this.#taken = Promise.all([this.#taken, taken]).then(
      () => undefined,
      (error: unknown) => this.#broke(error),
    );
  }

  /** Whoever takes the output can't: nothing that this agent does reaches anybody. */
  #broke(error: unknown): void {
    if (this.#phase === 'over') return;
    this.#say({ type: 'stop', key: this.key });
    this.#finish({ error: toBrokerError(error).toInfo() });
  }

  #say(message: ToServer): void {
    this.#link?.send(message);
  }

  /** Bounds the time without a process, and that which one takes to stop. */
  #watch(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const bound = this.#bound();
    if (bound !== undefined) this.#cancelTimer = this.#options.clock.setTimer(bound.ms, () => this.#finish(bound.end));
  }

  #bound(): { readonly ms: number; readonly end: RunEnd } | undefined {
    if (this.#phase === 'over' || this.#hasEnded) return undefined;
    if (this.#phase === 'waiting') return { ms: reconnectMs, end: neverServed(this.#request.endpoint.address) };
    const stopping = this.#stopping;
    const ms = stopping === undefined ? undefined : Math.max(0, Math.min(stopping.graceMs, stopping.untilMs - this.#options.clock.monotonic()));
    if (this.#link === undefined) return { ms: ms ?? reconnectMs, end: this.#options.adopted === undefined ? processLost : nobodyCame };
    return ms === undefined ? undefined : { ms, end: didNotStop };
  }

  #finish(end: RunEnd): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#watch();
    this.#left.resolve();
    this.#end.resolve(end);
    this.#options.onOver();
  }
}

const stoppedBefore: ErrorInfo = { code: 'cancelled', message: 'stopped before it was handed to a process' };

const hint = 'see what it did before you invoke it again';

const processLost: RunEnd = {
  isUnknown: true,
  error: { code: 'unavailable', message: 'the process that served it went away in the middle: it may or may not have done its work', hint },
};

const nobodyCame: RunEnd = {
  isUnknown: true,
  error: { code: 'unavailable', message: 'its node stopped while this ran, and no process came back that goes on with it: it may or may not have done its work', hint },
};

const partLost: RunEnd = {
  isUnknown: true,
  error: { code: 'unavailable', message: 'its node stopped while this ran, and has lost a part of it: it may or may not have done its work', hint },
};

const didNotStop: RunEnd = {
  isUnknown: true,
  error: { code: 'cancelled', message: 'the process that serves it was told to end it and did not in time: it may still be at work', hint },
};

function neverServed(address: string): RunEnd {
  return { error: { code: 'unavailable', message: `no process that serves ${address} had room for it`, hint: 'it was not begun: invoke it again when one serves it' } };
}
