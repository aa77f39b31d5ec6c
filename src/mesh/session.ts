/**
 * One session with one peer: a control and a data stream over one HTTP/2 connection, the same from both ends but for
 * who dialled. One connection is enough: what can stand in front of a heartbeat on the wire is bounded by the HTTP/2
 * window (256 KiB; a ping during a transfer of 16 MiB at 20 ms round trip took 0.2 s at worst), a data stream that is
 * not read holds up no other, and data frames count as life as much as heartbeats do.
 */
import { BrokerError, unavailable } from '../domain/errors.ts';
import { isNodeId } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { AnswerTo, ControlMessage, FlightEvents, Forward, PeerQuery } from '../domain/messages.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { ControlRequest, DataRequest } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { decodeErrorInfo } from '../rpc/error-info.ts';
import { id } from '../rpc/fields.ts';
import { encodedTask } from '../rpc/large-task.ts';
import { Answers } from './answers.ts';
import { decodeDialRequest, encodeControl, encodeFlightEvents, encodeForward, largestInlineTask } from './control-frames.ts';
import { ControlOutlet } from './control-outlet.ts';
import { DataOutlet } from './data-outlet.ts';
import { batchBytes, FrameStream } from './frame-stream.ts';
import { decodeGoodbye, decodeHello, encodeGoodbye, encodeHello } from './hello.ts';
import { decodeDigest, encodeHeartbeat, Heartbeat } from './heartbeat.ts';
import type { Farewell, PeerHello } from './hello.ts';
import { Inflow } from './inflow.ts';
import { isWork } from './link-demand.ts';
import { overdue, Silence } from './liveness.ts';
import { notUnderstood } from './not-understood.ts';
import { decodeAnswer, encodeQuery } from './queries.ts';
import { Questions } from './questions.ts';
import type { Refusal } from './session-admission.ts';
import type { SessionParts } from './session-parts.ts';
import { featureOf } from './version.ts';
import type { Feature } from './version.ts';

/** How long a session whose data stream ended waits for the reason. */
const lastWordMs = 500;

export class Session implements Link {
  peer: PeerIdentity;
  readonly path: 'outbound' | 'inbound';
  readonly address: string;
  /** Monotonic ms of its first moment. */
  readonly beganMs: number;
  lastHeardWallMs: number;
  /** Monotonic ms of the last work that passed over it. */
  usedMs: number | undefined;
  /** By the peer's last heartbeat. */
  isHeldByPeer = true;
  readonly #parts: SessionParts;
  readonly #control: FrameStream;
  #data: FrameStream | undefined;
  readonly #controlOutlet = new ControlOutlet();
  readonly #outlet = new DataOutlet();
  readonly #inflow: Inflow;
  readonly #questions: Questions;
  readonly #answers: Answers;
  readonly #silence: Silence;
  readonly #heartbeat: Heartbeat;
  #state: 'opening' | 'up' | 'down' = 'opening';
  #hello: PeerHello | undefined;
  #upAtMs = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.peer = parts.peer;
    this.path = parts.path;
    this.address = parts.address;
    this.lastHeardWallMs = parts.clock.now();
    this.beganMs = parts.clock.monotonic();
    this.#silence = new Silence(this.beganMs);
    this.#heartbeat = new Heartbeat(parts.clock, (number) => this.#queueUrgent({ $case: 'heartbeat', value: { ...encodeHeartbeat(number, parts.digests.digest()), holds: parts.owner.holds(this) } }));
    this.#answers = new Answers({
      peer: parts.peer,
      log: parts.log,
      answer: (query) => parts.owner.query(this, query),
      send: (frame) => this.isUp && this.#queueFrame(frame),
      onOverLimit: parts.onOverLimit,
    });
    this.#questions = new Questions(parts.clock, parts.peer.name);
    this.#inflow = new Inflow({
      deliver: (message) => parts.owner.message(this, message),
      onFault: (error, type) => parts.log.error({ peer: this.peer.name, peerId: this.peer.nodeId, frame: type, err: error }, 'a message from a peer could not be handled'),
      readData: (isReading) => (isReading ? this.#data?.resume() : this.#data?.pause()),
      room: parts.taskRoom,
      readControl: (isReading) => (isReading ? this.#control.resume() : this.#control.pause()),
    });
    this.#control = new FrameStream(parts.control, () => this.#controlOutlet.pull(), {
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

  get rttMs(): number | undefined {
    return this.#heartbeat.rttMs;
  }

  /** Undefined until the peer's Hello is in. */
  get hello(): PeerHello | undefined {
    return this.#hello;
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

  /** Whether the peer understands that. */
  can(feature: Feature): boolean {
    return this.#hello?.features.has(feature) === true;
  }

  async ask<Q extends PeerQuery>(query: Q, timeoutMs: number): Promise<AnswerTo<Q>> {
    if (!this.isUp) throw unavailable(`the link to ${this.peer.name} is down`);
    const feature = featureOf[query.type];
    if (feature !== undefined && !this.can(feature)) {
      throw new BrokerError('incompatible', `${this.peer.name} runs Beckon ${this.#hello?.version}, which can’t answer that`, { hint: `update Beckon on ${this.peer.name}` });
    }
    if (isWork(query)) this.usedMs = this.#parts.clock.monotonic();
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

  /** Asks a member that has a session with that node to tell it to dial this one. */
  introduce(nodeId: NodeId): void {
    if (this.isUp) this.#queueFrame({ $case: 'introduce', value: { nodeId } });
  }

  /** Tells the peer that this node asks to be dialled. */
  requestDial(nodeId: NodeId, addresses: readonly string[]): void {
    if (this.isUp) this.#queueFrame({ $case: 'dialRequest', value: { nodeId, addresses: [...addresses] } });
  }

  /** Resolves with whether anything is heard of the peer from now on, within that time. Never rejects. */
  probe(timeoutMs: number): Promise<boolean> {
    return this.isUp ? this.#heartbeat.probe(timeoutMs) : Promise.resolve(false);
  }

  /** Monotonic ms of the last frame, or of the session's first moment. */
  get heardMs(): number {
    return this.#silence.heardMs;
  }

  /** How long nothing was heard of the peer, or since this side has had grace, ms. */
  get silentMs(): number {
    return this.#silence.lastsMs(this.#parts.clock.monotonic());
  }

  /** Called every `tickMs`. `isGrace`: this side could not have heard anything since the last. */
  tick(isGrace: boolean): void {
    const now = this.#parts.clock.monotonic();
    if (isGrace) this.#upAtMs = now;
    // What is not read can't be heard.
    if (isGrace || this.#inflow.controlIsPaused) this.#silence.grace(now);
    const late = overdue({ openingMs: this.#state === 'opening' ? now - this.beganMs : 0, dataMs: this.wantsData ? now - this.#upAtMs : 0 });
    if (late !== undefined) this.#parts.onOverLimit('session_greeting');
    if (late === 'hello') this.#end('it never said hello');
    else if (late === 'data') this.close('protocol', 'the data stream was never opened');
    if (this.isUp && this.#heartbeat.isDue) this.#heartbeat.beat();
  }

  /** Says goodbye and ends the session. @param revocation proves `removed` to the peer */
  close(farewell: Farewell, detail: string, revocation?: SignedRecord): void {
    this.#queueUrgent({ $case: 'goodbye', value: encodeGoodbye(farewell, detail, revocation) });
    this.#end(detail, farewell, 'here');
  }

  /** Ends it without a word: the peer can't hear. */
  readonly cut = (why: string): void => this.#end(why);

  #sendHello(sessionId: string): void {
    this.#queueUrgent({ $case: 'hello', value: encodeHello(this.#parts.own, this.peer.nodeId, sessionId, this.#parts.clock.now()) });
  }

  #sendForward(message: Forward): void {
    const task = message.task.files.reduce((sum, file) => sum + file.bytes.length + file.name.length, message.task.text.length);
    if (task <= largestInlineTask) return this.#queueFrame(encodeForward(message));
    // Asked for again while it is on its way, over a slow line: it arrives.
    if (this.#outlet.isSending(message.invocation.id)) return;
    const encoded = encodedTask(message.task);
    this.#queueFrame(encodeForward(message, encoded.bytes));
    this.#outlet.addTask(message.invocation.id, encoded.parts);
    this.#data?.wake();
  }

  #queueUrgent(frame: wire.ControlFrame['frame']): void {
    if (this.#state === 'down') return;
    this.#controlOutlet.addUrgent(frame);
    this.#control.wake();
  }

  #queueFrame(frame: wire.ControlFrame['frame']): void {
    const tooLarge = this.#controlOutlet.add(frame);
    if (tooLarge !== undefined) {
      this.#parts.log.error({ peer: this.peer.name, peerId: this.peer.nodeId, frame: frame?.$case, bytes: tooLarge }, 'too large to send to a peer: dropped');
      return;
    }
    this.#control.wake();
    if (!this.#controlOutlet.isOverfull) return;
    this.#parts.onOverLimit('session_backlog');
    this.#end('the peer reads too slowly');
  }

  /** Whatever the peer sent wrong ends its session and nothing else. */
  #guard(read: () => void): void {
    if (this.#state === 'down') return;
    try {
      this.#heard();
      read();
    } catch (error) {
      const known = error instanceof BrokerError ? error : new BrokerError('invalid', 'a frame that can not be read', { cause: error });
      if (known.code === 'overload') this.#parts.onOverLimit('session_heartbeats');
      const farewell = known.code === 'incompatible' ? 'incompatible' : 'protocol';
      this.close(farewell, [known.message, known.hint].filter((part) => part !== undefined).join(': '));
    }
  }

  #heard(): void {
    const { clock } = this.#parts;
    this.#silence.heard(clock.monotonic());
    this.#heartbeat.heard();
    this.lastHeardWallMs = clock.now();
  }

  #controlMessage(bytes: Buffer): void {
    const { frames } = ControlRequest.decode(bytes);
    const share = bytes.length / Math.max(1, frames.length);
    for (const { frame } of frames) {
      if (this.#state === 'down') return;
      // A kind of frame that only a newer version knows.
      if (frame === undefined) continue;
      try {
        this.#controlFrame(frame, share);
      } catch (error) {
        if (frame.$case === 'hello' || !(error instanceof BrokerError && error.code === 'incompatible')) throw error;
        this.#notUnderstood(frame, error);
      }
    }
  }

  #notUnderstood(frame: NonNullable<wire.ControlFrame['frame']>, error: BrokerError): void {
    const refusal = notUnderstood(frame, error, { ...this.#parts, version: this.#hello?.version });
    if (refusal !== undefined) this.#queueFrame(refusal);
  }

  #controlFrame(frame: NonNullable<wire.ControlFrame['frame']>, bytes: number): void {
    if (frame.$case === 'hello') return this.#greeted(frame.value);
    if (frame.$case === 'goodbye') {
      const { reason, detail, revocation } = decodeGoodbye(frame.value);
      return this.#end(detail === '' ? reason : detail, reason, 'peer', revocation);
    }
    if (!this.isUp) throw new BrokerError('invalid', `${frame.$case} came before hello`);
    switch (frame.$case) {
      case 'heartbeat':
        this.isHeldByPeer = frame.value.holds || !this.can('resting');
        this.#queueUrgent({ $case: 'heartbeatReply', value: this.#heartbeat.asked(frame.value.number) });
        return this.#parts.digests.onDigest(this, decodeDigest(frame.value));
      case 'heartbeatReply':
        return this.#heartbeat.answered(frame.value.number);
      case 'query':
        return void this.#answers.give(frame.value);
      case 'answer':
        return this.#answered(frame.value);
      case 'introduce':
        return this.#parts.owner.introduce(this, id(isNodeId, frame.value.nodeId, 'introduce.node_id'));
      case 'dialRequest': {
        const { nodeId, addresses } = decodeDialRequest(frame.value);
        return this.#parts.owner.dialRequest(this, nodeId, addresses);
      }
      default:
        return this.#inflow.control(frame, bytes);
    }
  }

  #greeted(message: wire.Hello): void {
    if (this.#hello !== undefined) throw new BrokerError('invalid', 'hello came twice');
    const { own, ownName, owner, sessionId } = this.#parts;
    const hello = decodeHello(message, { peerName: this.peer.name, ownName, ownVersion: own.version });
    if (sessionId !== undefined && hello.sessionId !== sessionId) throw new BrokerError('invalid', 'hello names another session');
    this.#hello = hello;
    const judged = owner.admit(this);
    if (judged instanceof Promise) void judged.then((refusal) => this.#judged(hello, refusal));
    else this.#judged(hello, judged);
  }

  #judged(hello: PeerHello, refusal: Refusal | undefined): void {
    if (this.#state !== 'opening') return;
    if (refusal !== undefined) return this.close(refusal.farewell, refusal.detail, refusal.revocation);
    const { owner, sessionId, openData } = this.#parts;
    if (sessionId === undefined) this.#sendHello(hello.sessionId);
    this.#state = 'up';
    this.#upAtMs = this.#parts.clock.monotonic();
    if (openData !== undefined) {
      this.#outlet.addFirst({ frame: { $case: 'hello', value: { sessionId: Buffer.from(hello.sessionId, 'hex') } } });
      this.#data = new FrameStream(openData(), () => this.#outlet.pull(), this.#dataSink());
      this.#data.wake();
    }
    this.#heartbeat.beat();
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

  /** An answer that can't be read fails its question alone. */
  #answered({ number, error, answer }: wire.Answer): void {
    if (error !== undefined) return this.#questions.answered(number, decodeErrorInfo(error));
    try {
      this.#questions.answered(number, decodeAnswer(answer));
    } catch (thrown) {
      if (!(thrown instanceof BrokerError && thrown.code === 'incompatible')) throw thrown;
      this.#questions.answered(number, thrown.toInfo());
    }
  }

  #end(why: string, farewell?: Farewell, saidBy?: 'peer' | 'here', revocation?: SignedRecord): void {
    if (this.#state === 'down') return;
    const wasUp = this.isUp;
    this.#state = 'down';
    this.#controlOutlet.close();
    this.#control.finish();
    this.#outlet.close();
    this.#data?.finish();
    this.#inflow.close();
    this.#questions.close(why);
    this.#heartbeat.close();
    this.#parts.hangUp(saidBy !== undefined);
    this.#parts.owner.down(this, { why, wasUp, ...(farewell === undefined ? {} : { farewell }), ...(saidBy === undefined ? {} : { saidBy }), ...(revocation === undefined ? {} : { revocation }) });
  }
}
