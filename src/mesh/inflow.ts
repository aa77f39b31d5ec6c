/**
 * What arrived on one session and is with the core: in order, tasks put together, and counted, so that a peer that
 * sends faster than the core stores is held back by its own streams and not by this node's memory.
 */
import { isInvocationId } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { ControlMessage, Forward, PeerMessage } from '../domain/messages.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { Assembly } from './assembly.ts';
import type { Assembled } from './assembly.ts';
import { decodeControl, decodeFlightEvents, decodeForward, decodePiece } from './control-frames.ts';
import type { ForwardHead, MessageFrame } from './control-frames.ts';
import type { Place, TaskRoom } from '../rpc/task-room.ts';

/** Bytes with the core above which the data stream is not read, and below which it is again. */
const dataBounds = { pauseAbove: 4 * 1024 * 1024, resumeBelow: 2 * 1024 * 1024 };
/** The same for the control stream, of what came by it alone: it carries heartbeats, which no task may hold up. */
const controlBounds = { pauseAbove: 40 * 1024 * 1024, resumeBelow: 20 * 1024 * 1024 };
/** Charged for any message, bytes: what handling the smallest takes, about. */
const messageOverhead = 2048;
/** Pieces that came before the head of their task: more is not read until it is there. */
const mostUnannounced = 512 * 1024;

export interface InflowParts {
  /** The core's handler; rejections are its own fault and are told to `onFault`. */
  readonly deliver: (message: PeerMessage) => Promise<void>;
  readonly onFault: (error: unknown, type: PeerMessage['type']) => void;
  readonly readData: (isReading: boolean) => void;
  readonly readControl: (isReading: boolean) => void;
  /** Of the node: what all peers send in pieces finds its place there. */
  readonly room: TaskRoom;
}

export class Inflow {
  readonly #parts: InflowParts;
  readonly #assembly = new Assembly();
  readonly #places = new Map<InvocationId, Place>();
  #bytes = 0;
  /** Of these, what came by the control stream. */
  #controlBytes = 0;
  /** By what is with the core. */
  #coreIsFull = false;
  #dataIsPaused = false;
  #controlIsPaused = false;
  #isClosed = false;

  constructor(parts: InflowParts) {
    this.#parts = parts;
  }

  /** This side does not read the control stream now, so the peer's silence says nothing. */
  get controlIsPaused(): boolean {
    return this.#controlIsPaused;
  }

  /** @param bytes its size on the wire. @throws BrokerError `invalid` or `incompatible` */
  control(frame: MessageFrame, bytes: number): void {
    if (frame.$case !== 'forward') return this.#inOrder(decodeControl(frame), bytes);
    const forward = this.#forward(frame.value);
    if ('type' in forward) this.#deliver(forward, bytes, 'control');
    else {
      this.#makeRoom(forward);
      this.#assembled(this.#assembly.announce(forward));
    }
    this.#steer();
  }

  piece(message: wire.TaskPiece): void {
    this.#assembled(this.#assembly.add(decodePiece(message)));
    this.#steer();
  }

  events(message: wire.FlightEvents, bytes: number): void {
    this.#deliver(decodeFlightEvents(message), bytes, 'data');
  }

  /** What is with the core stays with it; nothing more is handed over. */
  close(): void {
    this.#isClosed = true;
    for (const place of this.#places.values()) place.release();
    this.#places.clear();
  }

  #makeRoom({ invocation: { id }, taskBytes }: ForwardHead): void {
    if (!this.#places.has(id)) this.#places.set(id, this.#parts.room.take(taskBytes, () => this.#steer()));
  }

  #forward(message: wire.Forward): Forward | ForwardHead {
    try {
      return decodeForward(message);
    } catch (error) {
      const { invocation, taskBytes } = message;
      // Of a newer version, maybe: the session goes on, and the task that follows is nobody's.
      if (taskBytes !== undefined && invocation !== undefined && isInvocationId(invocation.id)) this.#assembly.skip(invocation.id, taskBytes);
      throw error;
    }
  }

  #inOrder(message: Exclude<ControlMessage, Forward>, bytes: number): void {
    if ('invocationId' in message && this.#assembly.hold(message.invocationId, message, bytes)) return;
    this.#deliver(message, bytes, 'control');
  }

  #assembled(assembled: Assembled | undefined): void {
    if (assembled === undefined) return;
    const { id } = assembled.forward.invocation;
    const place = this.#places.get(id);
    this.#places.delete(id);
    this.#deliver(assembled.forward, assembled.bytes, 'data', () => place?.release());
    // Announced once more: it comes once more.
    if (this.#assembly.expects(id) && !this.#isClosed) this.#places.set(id, this.#parts.room.take(assembled.bytes, () => this.#steer()));
    for (const message of assembled.held) this.#deliver(message, 0, 'control');
  }

  #deliver(message: PeerMessage, bytes: number, by: 'control' | 'data', onHandled: () => void = () => undefined): void {
    if (this.#isClosed) return onHandled();
    const charge = bytes + messageOverhead;
    this.#count(charge, by);
    const deliver = async (): Promise<void> => this.#parts.deliver(message);
    deliver()
      .catch((error: unknown) => this.#parts.onFault(error, message.type))
      .finally(() => {
        this.#count(-charge, by);
        onHandled();
      });
  }

  #count(change: number, by: 'control' | 'data'): void {
    this.#bytes += change;
    if (by === 'control') this.#controlBytes += change;
    this.#coreIsFull = isPaused(this.#coreIsFull, this.#bytes, dataBounds);
    this.#steer();
    const controlIsPaused = isPaused(this.#controlIsPaused, this.#controlBytes, controlBounds);
    if (controlIsPaused !== this.#controlIsPaused) this.#parts.readControl(!controlIsPaused);
    this.#controlIsPaused = controlIsPaused;
  }

  /** A task that was announced is to wait until others are stored. */
  #hasNoPlace(): boolean {
    for (const place of this.#places.values()) if (!place.isGranted) return true;
    return false;
  }

  /** Reads the data stream, or does not. */
  #steer(): void {
    const isPaused = this.#coreIsFull || this.#assembly.unannouncedBytes > mostUnannounced || this.#hasNoPlace();
    if (isPaused !== this.#dataIsPaused && !this.#isClosed) this.#parts.readData(!isPaused);
    this.#dataIsPaused = isPaused;
  }
}

function isPaused(isNow: boolean, bytes: number, { pauseAbove, resumeBelow }: typeof dataBounds): boolean {
  return isNow ? bytes >= resumeBelow : bytes > pauseAbove;
}
