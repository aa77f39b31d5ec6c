/**
 * What passes between a node and a process that serves one of its agents by itself. A run is told by its flight and
 * number. What the process hands over is numbered and repeated on the next connection until the node has it on disk; so
 * neither a lost connection nor a node that died loses or doubles any of it.
 */
import type { ErrorInfo } from './errors.ts';
import type { OutputStream } from './flight-event.ts';
import type { TurnSession } from './harness-port.ts';
import type { FlightId, InvocationId } from './ids.ts';
import type { Task } from './invocation.ts';
import type { Progress } from './progress.ts';
import { sizeOfProgress } from './progress.ts';
import type { Answer, Ask } from './request.ts';

/** How long a run waits for its process to come back, ms. */
export const reconnectMs = 30_000;
/** Of one run, handed over and not durable yet, as `sizeOfPiece` counts it: the process holds back what is over it. */
export const windowBytes = 1024 * 1024;
/** Requests of one run that stand unanswered. */
export const mostOpenAsks = 64;
/** Runs at once of one process. */
export const mostConcurrency = 1024;

/** What a piece counts for besides its content: thousands of small ones are to be held back too. */
const bytesPerPiece = 64;

export interface RunKey {
  readonly flightId: FlightId;
  readonly run: number;
}

/** What a process says when it connects. */
export interface Attach {
  /** Canonical, of this node. */
  readonly address: string;
  /** Made by the process for itself, the same on each of its connections. */
  readonly serverId: string;
  /** Runs that it takes at once. */
  readonly concurrency: number;
  /** All that it has of earlier connections and was not told to forget. */
  readonly runs: readonly RunKey[];
}

export interface ServedRun extends RunKey {
  readonly invocationId: InvocationId;
  readonly task: Task;
  readonly session?: TurnSession;
  /** What a process of the flight would have in its environment: its ids, and the token to call its node with. */
  readonly environment: Readonly<Record<string, string>>;
}

export type Piece = { readonly stream: OutputStream; readonly bytes: Uint8Array } | { readonly progress: Progress };

/** From the node to the process. */
export type ToServer =
  /** The first. `runs`: those that go on, each from the piece after `received`. */
  | { readonly type: 'attached'; readonly address: string; readonly runs: readonly (RunKey & { readonly received: number })[] }
  /** The node's list of agents shows it as available. */
  | { readonly type: 'listed' }
  | { readonly type: 'start'; readonly run: ServedRun }
  | { readonly type: 'stop'; readonly key: RunKey }
  | { readonly type: 'answer'; readonly key: RunKey; readonly ask: number; readonly answer: Answer }
  /** Pieces up to this number are durable. */
  | { readonly type: 'stored'; readonly key: RunKey; readonly pieces: number }
  /** It is over for the node, whatever has become of it: the process forgets it, and ends what still works on it. */
  | { readonly type: 'closed'; readonly key: RunKey }
  /** The agent is not registered any more: nothing will be started. */
  | { readonly type: 'removed' };

/** From the process to the node. Pieces and asks of a run are numbered from 1, each kind for itself. */
export type FromServer =
  | { readonly type: 'piece'; readonly key: RunKey; readonly number: number; readonly piece: Piece }
  | { readonly type: 'ask'; readonly key: RunKey; readonly number: number; readonly ask: Ask }
  /** What it calls the session of the run itself. The same again changes nothing. */
  | { readonly type: 'session'; readonly key: RunKey; readonly name: string }
  /** After its last piece. `error`: it failed, and why. */
  | { readonly type: 'end'; readonly key: RunKey; readonly error?: ErrorInfo }
  /** It takes no more runs, and leaves when those that it has are over. */
  | { readonly type: 'drain' };

/** One connection of a process, as the node uses it. */
export interface ServerLink {
  /** In order. What is said after the connection was lost is lost. */
  send(message: ToServer): void;
  /** Ends the connection. */
  close(error: Error): void;
}

/** One connection, as whoever reads it uses the node. */
export interface Serving {
  /** In order. @throws BrokerError `invalid` for what no well-made process sends: the connection is to be closed */
  receive(message: FromServer): void;
  /** The connection is gone. */
  lost(): void;
}

/** Where processes that serve attach. */
export interface ServedAgents {
  /** @throws BrokerError `invalid` */
  attach(attach: Attach, link: ServerLink): Serving;
}

export function sizeOfPiece(piece: Piece): number {
  return bytesPerPiece + ('bytes' in piece ? piece.bytes.length : sizeOfProgress(piece.progress));
}
