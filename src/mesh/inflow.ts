/**
 * What arrived on one session and is with the core: in order, tasks put together, and counted, so that a peer that
 * sends faster than the core stores is held back by its own streams and not by this node's memory.
 */
import { isInvocationId } from '../domain/ids.ts';
import type { ControlMessage, Forward, PeerMessage } from '../domain/messages.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { Assembly } from './assembly.ts';
import type { Assembled } from './assembly.ts';
import { decodeControl, decodeFlightEvents, decodeForward, decodePiece } from './control-frames.ts';
import type { ForwardHead, MessageFrame } from './control-frames.ts';

/** Bytes with the core above which the data stream is not read, and below which it is again. */
const dataBounds = { pauseAbove: 4 * 1024 * 1024, resumeBelow: 2 * 1024 * 1024 };
/** The same for the control stream, where two of the largest tasks must fit: it also carries heartbeats. */
const controlBounds = { pauseAbove: 40 * 1024 * 1024, resumeBelow: 20 * 1024 * 1024 };
/** Charged for any message, bytes. */
const messageOverhead = 256;

export interface InflowParts {
  /** The core's handler; rejections are its own fault and are told to `onFault`. */
  readonly deliver: (message: PeerMessage) => Promise<void>;
  readonly onFault: (error: unknown, type: PeerMessage['type']) => void;
  readonly readData: (isReading: boolean) => void;
  readonly readControl: (isReading: boolean) => void;
}

export class Inflow {
  readonly #parts: InflowParts;
  readonly #assembly = new Assembly();
  #bytes = 0;
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
    if ('type' in forward) this.#deliver(forward, bytes);
    else this.#assembled(this.#assembly.announce(forward));
  }

  piece(message: wire.TaskPiece): void {
    this.#assembled(this.#assembly.add(decodePiece(message)));
  }

  events(message: wire.FlightEvents, bytes: number): void {
    this.#deliver(decodeFlightEvents(message), bytes);
  }

  /** What is with the core stays with it; nothing more is handed over. */
  close(): void {
    this.#isClosed = true;
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
    if ('invocationId' in message && this.#assembly.hold(message.invocationId, message)) return;
    this.#deliver(message, bytes);
  }

  #assembled(assembled: Assembled | undefined): void {
    if (assembled === undefined) return;
    this.#deliver(assembled.forward, assembled.bytes);
    for (const message of assembled.held) this.#deliver(message, 0);
  }

  #deliver(message: PeerMessage, bytes: number): void {
    if (this.#isClosed) return;
    const charge = bytes + messageOverhead;
    this.#count(charge);
    const deliver = async (): Promise<void> => this.#parts.deliver(message);
    deliver()
      .catch((error: unknown) => this.#parts.onFault(error, message.type))
      .finally(() => this.#count(-charge));
  }

  #count(change: number): void {
    this.#bytes += change;
    const dataIsPaused = isPaused(this.#dataIsPaused, this.#bytes, dataBounds);
    if (dataIsPaused !== this.#dataIsPaused) this.#parts.readData(!dataIsPaused);
    this.#dataIsPaused = dataIsPaused;
    const controlIsPaused = isPaused(this.#controlIsPaused, this.#bytes, controlBounds);
    if (controlIsPaused !== this.#controlIsPaused) this.#parts.readControl(!controlIsPaused);
    this.#controlIsPaused = controlIsPaused;
  }
}

function isPaused(isNow: boolean, bytes: number, { pauseAbove, resumeBelow }: typeof dataBounds): boolean {
  return isNow ? bytes >= resumeBelow : bytes > pauseAbove;
}
