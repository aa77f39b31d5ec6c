/**
 * One session with one peer: a control and a data stream over one HTTP/2 connection, the same from both ends but for
 * who dialled. One connection is enough: what can stand in front of a heartbeat on the wire is bounded by the HTTP/2
 * window (256 KiB; a ping during a transfer of 16 MiB at 20 ms round trip took 0.2 s at worst), a data stream that is
 * not read holds up no other, and data frames count as life as much as heartbeats do.
 */
import { BrokerError, toBrokerError, unavailable } from '../domain/errors.ts';
import type { AnswerTo, ControlMessage, FlightEvents, Forward, PeerAnswer, PeerMessage, PeerQuery } from '../domain/messages.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { ControlFrame, ControlRequest, DataRequest } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { Task } from '../gen/beckon/v1/record.ts';
import { decodeErrorInfo, encodeErrorInfo } from '../rpc/error-info.ts';
import { encodeTask } from '../rpc/work.ts';
import { encodeControl, encodeFlightEvents, encodeForward, largestInlineTask } from './control-frames.ts';
import { DataOutlet } from './data-outlet.ts';
import type { Claim } from './election.ts';
import { batchBytes, FrameStream, largestFrame } from './frame-stream.ts';
import { decodeGoodbye, decodeHello, encodeGoodbye, encodeHello } from './hello.ts';
import type { Farewell, OwnHello, PeerHello } from './hello.ts';
import { Inflow } from './inflow.ts';
import { heartbeatEveryMs, Liveness, smoothRtt } from './liveness.ts';
import { decodeAnswer, decodeQuery, encodeAnswer, encodeQuery } from './queries.ts';
import { Questions } from './questions.ts';
import type { Duplex } from 'node:stream';

/** Control frames queued beyond this mean a peer that reads too slowly to be worth keeping, bytes. */
const mostQueuedControl = 64 * 1024 * 1024;
/** A dialler opens its data stream as soon as it is greeted. */
const dataWithinMs = 10_000;
/** Questions of the peer that are being answered at once. */
const mostAnswering = 16;

/** How long a session whose data stream ended waits for the reason. */
const lastWordMs = 500;

/** Why a session is over. */
export interface SessionEnd {
  /** For people. */
  readonly why: string;
  /** The reason the peer gave, or this side gave the peer. */
  readonly farewell?: Farewell;
  readonly saidBy?: 'peer' | 'here';
  readonly wasUp: boolean;
}

/** What a session reports. `up` and `down` come once each at most, `down` always. */
export interface SessionOwner {
  /** The peer's Hello is in. Undefined takes the session. */
  admit(session: Session): { readonly farewell: Farewell; readonly detail: string } | undefined;
  up(session: Session): void;
  message(session: Session, message: PeerMessage): Promise<void>;
  query(session: Session, query: PeerQuery): Promise<PeerAnswer>;
  down(session: Session, end: SessionEnd): void;
}

export interface SessionParts {
  readonly peer: PeerIdentity;
  readonly path: 'outbound' | 'inbound';
  /** host:port of the other end. */
  readonly address: string;
  readonly control: Duplex;
  /** The dialler's side: opens the data stream of the same connection. */
  readonly openData?: () => Duplex;
  /** Hexadecimal, chosen by the dialler, who gives it. */
  readonly sessionId?: string;
  /** Closes the connection, soon or at once. */
  readonly hangUp: (isOrderly: boolean) => void;
  readonly own: OwnHello;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: SessionOwner;
}

export class Session implements Link {
  readonly peer: PeerIdentity;
  readonly path: 'outbound' | 'inbound';
  readonly address: string;
  rttMs: number | undefined;
  lastHeardWallMs: number;
  readonly #parts: SessionParts;
  readonly #control: FrameStream;
  #data: FrameStream | undefined;
  readonly #urgent: Uint8Array[] = [];
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  readonly #outlet = new DataOutlet();
  readonly #inflow: Inflow;
  readonly #questions: Questions;
  readonly #liveness: Liveness;
  #state: 'opening' | 'up' | 'down' = 'opening';
  #hello: PeerHello | undefined;
  #answering = 0;
  #upAtMs = 0;
  #heartbeat = { number: 0, sentAtMs: 0, isAnswered: true };

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.peer = parts.peer;
    this.path = parts.path;
    this.address = parts.address;
    this.lastHeardWallMs = parts.clock.now();
    this.#liveness = new Liveness(parts.clock.monotonic());
    this.#questions = new Questions(parts.clock, parts.peer.name);
    this.#inflow = new Inflow({
      deliver: (message) => parts.owner.message(this, message),
      onFault: (error, type) => parts.log.error({ peer: this.peer.name, type, err: error }, 'a message from a peer could not be handled'),
      readData: (isReading) => (isReading ? this.#data?.resume() : this.#data?.pause()),
      readControl: (isReading) => (isReading ? this.#control.resume() : this.#control.pause()),
    });
    this.#control = new FrameStream(parts.control, () => this.#pull(), {
      message: (bytes) => this.#guard(() => this.#controlMessage(bytes)),
      ended: (error) => this.#end(error?.message ?? 'the peer closed the connection'),
    });
    if (parts.sessionId !== undefined) this.#sendHello(parts.sessionId);
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  get epoch(): number {
    return this.#hello?.epoch ?? 0;
  }

  get previousEpoch(): number | undefined {
    return this.#hello?.previousEpoch;
  }

  get seenEpochs(): readonly number[] {
    return this.#hello?.seenEpochs ?? [];
  }

  /** Resolves when the last word has left and the stream is closed, or the connection is lost. */
  get closed(): Promise<void> {
    return this.#control.closed;
  }

  /** Undefined until the peer's Hello is in. */
  get hello(): PeerHello | undefined {
    return this.#hello;
  }

  get claim(): Omit<Claim, 'dialledBy'> {
    return { epoch: this.epoch, bootNonce: this.#hello?.bootNonce ?? '' };
  }

  /** Whether the acceptor's side still waits for its data stream. */
  get wantsData(): boolean {
    return this.isUp && this.#data === undefined;
  }

  send(message: ControlMessage): void {
    if (!this.isUp) return;
    if (message.type === 'forward') this.#sendForward(message);
    else this.#queueFrame(encodeControl(message));
  }

  async sendEvents(message: FlightEvents): Promise<void> {
    if (!this.isUp) return;
    for (const part of encodeFlightEvents(message, batchBytes)) this.#outlet.addEvents(part);
    this.#data?.wake();
    await this.#outlet.room();
  }

  async ask<Q extends PeerQuery>(query: Q, timeoutMs: number): Promise<AnswerTo<Q>> {
    if (!this.isUp) throw unavailable(`the link to ${this.peer.name} is down`);
    const answer = await this.#questions.ask(query.type, timeoutMs, (number) =>
      this.#queueFrame({ $case: 'query', value: { number, query: encodeQuery(query) } }),
    );
    return answer as AnswerTo<Q>;
  }

  /** The acceptor's side: the data stream that named this session, and what its first message held besides. */
  attachData(stream: FrameStream, frames: readonly wire.DataFrame[]): void {
    this.#data = stream;
    stream.setSink(this.#dataSink());
    this.#guard(() => this.#dataFrames(frames, 0));
    stream.wake();
  }

  /** What the acceptor's data stream sends. */
  pullData(): Uint8Array | undefined {
    return this.#outlet.pull();
  }

  /** Called every `tickMs`. `isGrace`: this side could not have heard anything since the last. */
  tick(isGrace: boolean): 'alive' | 'suspect' {
    const { clock } = this.#parts;
    const now = clock.monotonic();
    if (isGrace) this.#upAtMs = now;
    if (isGrace || this.#inflow.controlIsPaused) this.#liveness.grace(now);
    if (this.wantsData && now - this.#upAtMs > dataWithinMs) this.close('protocol', 'the data stream was never opened');
    if (this.isUp && now - this.#heartbeat.sentAtMs >= heartbeatEveryMs) this.#sendHeartbeat();
    const state = this.#liveness.at(now);
    if (state === 'dead') {
      this.#end('no sign of life');
      return 'suspect';
    }
    return state;
  }

  /** Says goodbye and ends the session. */
  close(farewell: Farewell, detail: string): void {
    this.#queueUrgent({ $case: 'goodbye', value: encodeGoodbye(farewell, detail) });
    this.#end(detail, farewell, 'here');
  }

  /** Ends it without a word: the peer can't hear. */
  cut(why: string): void {
    this.#end(why);
  }

  #sendHeartbeat(): void {
    this.#heartbeat = { number: this.#heartbeat.number + 1, sentAtMs: this.#parts.clock.monotonic(), isAnswered: false };
    this.#queueUrgent({ $case: 'heartbeat', value: { number: this.#heartbeat.number } });
  }

  #sendHello(sessionId: string): void {
    this.#queueUrgent({ $case: 'hello', value: encodeHello(this.#parts.own, this.peer.nodeId, sessionId, this.#parts.clock.now()) });
  }

  #sendForward(message: Forward): void {
    const task = message.task.files.reduce((sum, file) => sum + file.bytes.length + file.name.length, message.task.text.length);
    if (task <= largestInlineTask) return this.#queueFrame(encodeForward(message));
    const encoded = Task.encode(encodeTask(message.task)).finish();
    this.#queueFrame(encodeForward(message, encoded.length));
    this.#outlet.addTask(message.invocation.id, encoded);
    this.#data?.wake();
  }

  #queueUrgent(frame: wire.ControlFrame['frame']): void {
    if (this.#state === 'down') return;
    this.#urgent.push(ControlFrame.encode({ frame }).finish());
    this.#control.wake();
  }

  #queueFrame(frame: wire.ControlFrame['frame']): void {
    const encoded = ControlFrame.encode({ frame }).finish();
    if (encoded.length > largestFrame) {
      this.#parts.log.error({ peer: this.peer.name, frame: frame?.$case, bytes: encoded.length }, 'too large to send to a peer: dropped');
      return;
    }
    this.#queue.push(encoded);
    this.#queuedBytes += encoded.length;
    this.#control.wake();
    if (this.#queuedBytes > mostQueuedControl) this.#end('the peer reads too slowly');
  }

  #pull(): Uint8Array | undefined {
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) return urgent;
    const frame = this.#queue.shift();
    if (frame !== undefined) this.#queuedBytes -= frame.length;
    return frame;
  }

  /** Whatever the peer sent wrong ends its session and nothing else. */
  #guard(read: () => void): void {
    if (this.#state === 'down') return;
    try {
      this.#heard();
      read();
    } catch (error) {
      const known = error instanceof BrokerError ? error : new BrokerError('invalid', 'a frame that can not be read', { cause: error });
      const farewell = known.code === 'incompatible' ? 'incompatible' : 'protocol';
      this.close(farewell, [known.message, known.hint].filter((part) => part !== undefined).join(': '));
    }
  }

  #heard(): void {
    const { clock } = this.#parts;
    this.#liveness.heard(clock.monotonic());
    this.lastHeardWallMs = clock.now();
  }

  #controlMessage(bytes: Buffer): void {
    const { frames } = ControlRequest.decode(bytes);
    const share = bytes.length / Math.max(1, frames.length);
    for (const { frame } of frames) {
      if (this.#state === 'down') return;
      // A kind of frame that only a newer version knows.
      if (frame === undefined) continue;
      this.#controlFrame(frame, share);
    }
  }

  #controlFrame(frame: NonNullable<wire.ControlFrame['frame']>, bytes: number): void {
    if (frame.$case === 'hello') return this.#greeted(frame.value);
    if (frame.$case === 'goodbye') {
      const { reason, detail } = decodeGoodbye(frame.value);
      return this.#end(detail === '' ? reason : detail, reason, 'peer');
    }
    if (!this.isUp) throw new BrokerError('invalid', `${frame.$case} came before hello`);
    switch (frame.$case) {
      case 'heartbeat':
        return this.#queueUrgent({ $case: 'heartbeatReply', value: { number: frame.value.number } });
      case 'heartbeatReply': {
        if (frame.value.number !== this.#heartbeat.number || this.#heartbeat.isAnswered) return;
        this.#heartbeat.isAnswered = true;
        this.rttMs = smoothRtt(this.rttMs, this.#parts.clock.monotonic() - this.#heartbeat.sentAtMs);
        return;
      }
      case 'query':
        return void this.#answer(frame.value);
      case 'answer': {
        const { number, error, answer } = frame.value;
        return this.#questions.answered(number, error === undefined ? decodeAnswer(answer) : decodeErrorInfo(error));
      }
      default:
        return this.#inflow.control(frame, bytes);
    }
  }

  #greeted(message: wire.Hello): void {
    if (this.#hello !== undefined) throw new BrokerError('invalid', 'hello came twice');
    const { own, owner, sessionId, openData } = this.#parts;
    const hello = decodeHello(message, this.peer.name, own.version);
    if (sessionId !== undefined && hello.sessionId !== sessionId) throw new BrokerError('invalid', 'hello names another session');
    this.#hello = hello;
    const refusal = owner.admit(this);
    if (refusal !== undefined) return this.close(refusal.farewell, refusal.detail);
    if (sessionId === undefined) this.#sendHello(hello.sessionId);
    this.#state = 'up';
    this.#upAtMs = this.#parts.clock.monotonic();
    if (openData !== undefined) {
      this.#outlet.addFirst({ frame: { $case: 'hello', value: { sessionId: Buffer.from(hello.sessionId, 'hex') } } });
      this.#data = new FrameStream(openData(), () => this.#outlet.pull(), this.#dataSink());
      this.#data.wake();
    }
    this.#sendHeartbeat();
    owner.up(this);
  }

  #dataSink(): { message(bytes: Buffer): void; ended(error: BrokerError | undefined): void } {
    return {
      message: (bytes) =>
        this.#guard(() => {
          const { frames } = DataRequest.decode(bytes);
          this.#dataFrames(frames, bytes.length / Math.max(1, frames.length));
        }),
      // The control stream ends at the same moment and knows why: its word may still be on the way.
      ended: (error) => void this.#parts.clock.setTimer(lastWordMs, () => this.#end(error?.message ?? 'the peer closed the data stream')),
    };
  }

  #dataFrames(frames: readonly wire.DataFrame[], share: number): void {
    for (const { frame } of frames) {
      if (this.#state === 'down') return;
      if (frame?.$case === 'hello') throw new BrokerError('invalid', 'the data stream named its session twice');
      if (frame?.$case === 'taskPiece') this.#inflow.piece(frame.value);
      if (frame?.$case === 'flightEvents') this.#inflow.events(frame.value, share);
    }
  }

  async #answer({ number, query }: wire.Query): Promise<void> {
    const fail = (error: unknown): void =>
      this.#queueAnswer({ $case: 'answer', value: { number, error: encodeErrorInfo(toBrokerError(error).toInfo()), answer: undefined } });
    if (this.#answering >= mostAnswering) return fail(new BrokerError('overload', 'too many questions at once'));
    this.#answering += 1;
    try {
      const answer = await this.#parts.owner.query(this, decodeQuery(query));
      const frame = { $case: 'answer', value: { number, error: undefined, answer: encodeAnswer(answer) } } as const;
      if (ControlFrame.encode({ frame }).finish().length > largestFrame) {
        throw new BrokerError('overload', 'the answer is too large for one page', { hint: 'ask for fewer with --limit' });
      }
      this.#queueAnswer(frame);
    } catch (error) {
      const known = toBrokerError(error);
      if (known.code === 'internal') this.#parts.log.error({ peer: this.peer.name, err: error }, 'a question of a peer could not be answered');
      fail(known);
    } finally {
      this.#answering -= 1;
    }
  }

  #queueAnswer(frame: wire.ControlFrame['frame']): void {
    if (this.isUp) this.#queueFrame(frame);
  }

  #end(why: string, farewell?: Farewell, saidBy?: 'peer' | 'here'): void {
    if (this.#state === 'down') return;
    const wasUp = this.isUp;
    this.#state = 'down';
    this.#queue.length = 0;
    this.#control.finish();
    this.#outlet.close();
    this.#data?.finish();
    this.#inflow.close();
    this.#questions.close(why);
    this.#parts.hangUp(saidBy !== undefined);
    this.#parts.owner.down(this, { why, wasUp, ...(farewell === undefined ? {} : { farewell }), ...(saidBy === undefined ? {} : { saidBy }) });
  }
}
