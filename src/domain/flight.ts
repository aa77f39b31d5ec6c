/** The life of one invocation: its states and every move that is legal. */
import { internal } from './errors.ts';
import { assertLegal, isLegal } from './moves.ts';
import type { Moves } from './moves.ts';

export const flightStates = [
  'queued',
  'waking',
  'running',
  'waiting',
  'completed',
  'failed',
  'cancelled',
  'expired',
  'indeterminate',
] as const;
export type FlightState = (typeof flightStates)[number];

export const terminalFlightStates = ['completed', 'failed', 'cancelled', 'expired', 'indeterminate'] as const;
export type TerminalFlightState = (typeof terminalFlightStates)[number];

export const waitingReasons = ['input', 'approval'] as const;
export type WaitingReason = (typeof waitingReasons)[number];

/**
 * The ordinary moves. `expired` means never started, so nothing that may have run gets there. `queued` can end
 * `indeterminate`: the origin may still read `queued` when it learns that it will never hear what became of the work.
 */
export const flightMoves: Moves<FlightState> = {
  queued: ['waking', 'running', 'failed', 'cancelled', 'expired', 'indeterminate'],
  waking: ['running', 'failed', 'cancelled', 'expired', 'indeterminate'],
  running: ['waiting', 'completed', 'failed', 'cancelled', 'indeterminate'],
  waiting: ['running', 'completed', 'failed', 'cancelled', 'indeterminate'],
  completed: [],
  failed: [],
  cancelled: [],
  expired: [],
  indeterminate: [],
};

/** The owner died while a flight was started and the caller allowed another run: run + 1, from the queue. */
export const rerunMoves: Moves<FlightState> = {
  ...noMoves(),
  running: ['queued'],
  waiting: ['queued'],
};

/** What the owner's later evidence may make of `indeterminate`. The results are final, so it happens once. */
export const refinements: Moves<FlightState> = {
  ...noMoves(),
  indeterminate: ['completed', 'failed', 'cancelled', 'expired'],
};

export function isTerminal(state: FlightState): state is TerminalFlightState {
  return (terminalFlightStates as readonly FlightState[]).includes(state);
}

/** @throws BrokerError `internal` */
export function assertMove(from: FlightState, to: FlightState): void {
  assertLegal('flight', flightMoves, from, to);
}

export function canRerun(from: FlightState): boolean {
  return isLegal(rerunMoves, from, 'queued');
}

/** The state after the restart of a rerunnable flight. @throws BrokerError `internal` unless it was started. */
export function rerun(from: FlightState): 'queued' {
  if (!canRerun(from)) throw internal(`a flight that is ${from} can't be run again`);
  return 'queued';
}

export function canRefine(from: FlightState, to: FlightState): boolean {
  return isLegal(refinements, from, to);
}

/** The state after the owner's evidence on an `indeterminate` flight. @throws BrokerError `internal` otherwise. */
export function refineIndeterminate(from: FlightState, to: FlightState): TerminalFlightState {
  if (!canRefine(from, to) || !isTerminal(to)) throw internal(`evidence can’t turn a flight from ${from} to ${to}`);
  return to;
}

function noMoves(): Record<FlightState, readonly FlightState[]> {
  return Object.fromEntries(flightStates.map((state) => [state, []])) as unknown as Record<FlightState, readonly FlightState[]>;
}
