/**
 * What the owner reports of a flight, in order: `seq` counts from 1 without gaps over all runs. Only the owner makes
 * these; what the origin alone decides (expiry before sending, say) is a verdict on the flight's row, not an event.
 */
import type { ErrorInfo } from './errors.ts';
import type { TerminalFlightState, WaitingReason } from './flight.ts';
import type { SessionId } from './ids.ts';
import type { Hlc } from './hlc.ts';
import { sizeOfProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import type { WorktreeStart } from './worktree.ts';

export const outputStreams = ['stdout', 'stderr'] as const;
export type OutputStream = (typeof outputStreams)[number];

/** The largest piece of output in one event, bytes. */
export const maxOutputChunk = 32 * 1024;

/** How a flight ended, by the owner's word or the origin's. */
export interface Outcome {
  readonly state: TerminalFlightState;
  readonly exitCode?: number;
  /** The signal that the agent died of, SIGKILL for instance. */
  readonly signal?: string;
  readonly error?: ErrorInfo;
  /** Processes ended on its behalf (cancel, limits). */
  readonly ended?: number;
}

export type FlightEventBody =
  | { readonly kind: 'started'; readonly run: number; readonly session?: SessionId; readonly worktree?: WorktreeStart }
  | { readonly kind: 'output'; readonly stream: OutputStream; readonly bytes: Uint8Array }
  | {
      readonly kind: 'waiting';
      readonly reason: WaitingReason;
      readonly request: string;
      readonly prompt: string;
      readonly choices: readonly string[];
      readonly untilMs?: number;
    }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'requeued'; readonly run: number }
  | Progress
  | ({ readonly kind: 'finished' } & Outcome)
  /** Of a kind that this version does not know, or pruned: it has its place in the order, and nothing in it. */
  | { readonly kind: 'unknown' };

const pieces: Readonly<Record<'output' | Progress['kind'], true>> = { output: true, tool: true, plan: true, diff: true, thought: true, usage: true };
/** The kinds that a run hands over itself, one event for each piece. */
export const pieceKinds = Object.keys(pieces) as readonly (keyof typeof pieces)[];

/** Bytes, for progress about so many: what an event counts for where content is bounded or pruned. */
export function contentBytes(body: FlightEventBody): number {
  switch (body.kind) {
    case 'output':
      return body.bytes.length;
    case 'tool':
    case 'plan':
    case 'diff':
    case 'thought':
    case 'usage':
      return sizeOfProgress(body);
    case 'started':
    case 'waiting':
    case 'resumed':
    case 'requeued':
    case 'finished':
    case 'unknown':
      return 0;
  }
}

export interface FlightEvent {
  readonly seq: number;
  /** The owner's wall clock, ms. */
  readonly atMs: number;
  readonly hlc: Hlc;
  readonly body: FlightEventBody;
}
