/** A table of legal moves between the states of one kind of record, and the two questions asked of it. */
import { internal } from './errors.ts';

export type Moves<State extends string> = Readonly<Record<State, readonly State[]>>;

export function isLegal<State extends string>(moves: Moves<State>, from: State, to: State): boolean {
  return moves[from].includes(to);
}

/** @throws BrokerError `internal`: an illegal move is a fault of this program, never of its input. */
export function assertLegal<State extends string>(what: string, moves: Moves<State>, from: State, to: State): void {
  if (!isLegal(moves, from, to)) throw internal(`a ${what} can’t go from ${from} to ${to}`);
}
