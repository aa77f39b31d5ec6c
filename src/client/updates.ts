/** What happens to a call, step by step, as a program reads it. */
import type { FlightUpdate } from '../broker/api.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import type { TerminalFlightState, WaitingReason } from '../domain/flight.ts';
import { isTerminal } from '../domain/flight.ts';
import type { FlightId, InvocationId, NodeId } from '../domain/ids.ts';
import type { Progress } from '../domain/progress.ts';

/** `atMs`: wall clock of the node where it happened. */
interface At {
  readonly atMs: number;
}

/** Durable at the node where it was invoked. `deduplicated`: the key was used before, and this is that flight. */
export interface AcceptedUpdate extends At {
  readonly type: 'accepted';
  readonly invocationId: InvocationId;
  readonly flightId: FlightId;
  /** The chosen agent. */
  readonly target: string;
  readonly deduplicated: boolean;
}

export interface OutputUpdate extends At {
  readonly type: 'output';
  readonly stream: OutputStream;
  readonly bytes: Uint8Array;
  /** `bytes` as UTF-8; no piece ends inside a character. */
  readonly text: string;
}

/** The agent asks its people: answer with `approve`, `deny` or `reply` of the call. */
export interface WaitingUpdate extends At {
  readonly type: 'waiting';
  readonly reason: WaitingReason;
  readonly request: string;
  readonly prompt: string;
  readonly choices: readonly string[];
  /** Denied if nobody answers until then. */
  readonly untilMs?: number;
}

export interface FinishedUpdate extends At {
  readonly type: 'finished';
  readonly state: TerminalFlightState;
  /** Stdout, up to 64 KiB; `result` has all of it. */
  readonly text: string;
  readonly truncated: boolean;
  readonly exitCode?: number;
  readonly error?: ErrorInfo;
}

type Flat<Kinds> = Kinds extends { readonly kind: infer Kind } ? Omit<Kinds, 'kind'> & At & { readonly type: Kind } : never;

export type Update =
  | AcceptedUpdate
  /** Its node is not reachable: it waits until then at most. */
  | (At & { readonly type: 'held'; readonly why: string; readonly untilMs: number })
  /** Durable at the agent's node. */
  | (At & { readonly type: 'received'; readonly nodeId: NodeId; readonly nodeName: string })
  | (At & { readonly type: 'started' | 'requeued'; readonly run: number })
  | OutputUpdate
  /** A tool call, a plan, a diff, a thought, usage. */
  | Flat<Progress>
  | WaitingUpdate
  | (At & { readonly type: 'resumed' })
  | FinishedUpdate;

/** A byte order mark is the agent's word too. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** Undefined for what this version does not know. */
export function updateOf(update: FlightUpdate): Update | undefined {
  switch (update.type) {
    case 'accepted':
    case 'held':
    case 'received':
      return update;
    case 'finished': {
      const { flight, output, truncated, atMs } = update;
      const { state, exitCode, error } = flight;
      if (!isTerminal(state)) return undefined;
      const optional = { ...(exitCode === undefined ? {} : { exitCode }), ...(error === undefined ? {} : { error }) };
      return { type: 'finished', atMs, state, text: textOf(output), truncated, ...optional };
    }
    case 'event': {
      const { body, atMs } = update.event;
      if (body.kind === 'finished' || body.kind === 'unknown') return undefined;
      if (body.kind === 'output') return { type: 'output', atMs, stream: body.stream, bytes: body.bytes, text: textOf(body.bytes) };
      const { kind, ...rest } = body;
      return { type: kind, atMs, ...rest } as Update;
    }
  }
}
