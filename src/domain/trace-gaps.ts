/** What is not known of a flight for want of one of its nodes. Pure. */
import { isTerminal } from './flight.ts';
import type { FlightStanding } from './observation.ts';

export interface Missing {
  readonly isOrigin: boolean;
  readonly isOwner: boolean;
}

/** @param other how far it has come as its other node has it, when that one answered */
export function unknownWithout({ isOrigin, isOwner }: Missing, other: FlightStanding | undefined): readonly string[] {
  if (isOrigin && isOwner) return ['all of it: no other node had a part in it'];
  if (isOrigin) return withoutOrigin(other);
  return withoutOwner(other);
}

function withoutOrigin(owner: FlightStanding | undefined): readonly string[] {
  const always = ['how often it was sent and why it was held', 'whether a cancel was asked for that has not arrived'];
  if (owner === undefined) return ['who asked for it and when', 'how it ended, as its caller was told', ...always];
  return isTerminal(owner.state) ? ['whether its caller has been told of the end', ...always.slice(0, 1)] : always;
}

function withoutOwner(origin: FlightStanding | undefined): readonly string[] {
  if (origin === undefined) return ['whether it arrived, started or ended'];
  // Its own word, or nothing that could have come of it.
  if (isTerminal(origin.state) && origin.verdictBy === 'owner') return ['what the agent’s node wrote down itself; the end is its own word'];
  if (origin.state === 'indeterminate') return ['whether it ran, and to what end'];
  if (isTerminal(origin.state)) return ['whether it was received there although it was given up here'];
  if (origin.startedAtMs !== undefined) return ['how far it has come since its last word', 'whether it has ended'];
  if (origin.receivedAtMs !== undefined) return ['whether it has started, and whether it has ended'];
  return ['whether it was received: without a receipt nothing says so'];
}
