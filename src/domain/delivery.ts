/** The transport of one invocation to its owner: states, legal moves, why it failed. Execution is the flight's. */
import { assertLegal, isLegal } from './moves.ts';
import type { Moves } from './moves.ts';

export const deliveryStates = ['planned', 'deferred', 'sent', 'received', 'rejected', 'dead', 'cancelled'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

export const terminalDeliveryStates = ['received', 'rejected', 'dead', 'cancelled'] as const;
export type TerminalDeliveryState = (typeof terminalDeliveryStates)[number];

export const failureReasons = [
  'peer_unreachable',
  'peer_rejected',
  'denied',
  'agent_offline',
  'timeout',
  'overload',
  'incompatible',
  'cancelled',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/**
 * `planned → received`: the owner is the origin itself, and one commit stores both. `deferred → received | rejected`:
 * the owner's word arrives after the link that carried the invocation was lost.
 */
export const deliveryMoves: Moves<DeliveryState> = {
  planned: ['deferred', 'sent', 'received', 'rejected', 'dead', 'cancelled'],
  deferred: ['sent', 'received', 'rejected', 'dead', 'cancelled'],
  sent: ['deferred', 'received', 'rejected', 'dead', 'cancelled'],
  received: [],
  rejected: [],
  dead: [],
  cancelled: [],
};

export function isTerminalDelivery(state: DeliveryState): state is TerminalDeliveryState {
  return (terminalDeliveryStates as readonly DeliveryState[]).includes(state);
}

export function canMoveDelivery(from: DeliveryState, to: DeliveryState): boolean {
  return isLegal(deliveryMoves, from, to);
}

/** @throws BrokerError `internal` */
export function assertDeliveryMove(from: DeliveryState, to: DeliveryState): void {
  assertLegal('delivery', deliveryMoves, from, to);
}
