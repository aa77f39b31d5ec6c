import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as delivery from '../../../src/domain/delivery.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import * as flight from '../../../src/domain/flight.ts';
import * as peer from '../../../src/domain/peer.ts';
import { caught, codeOf, outcome } from './outcome.ts';

/** The legal moves of each state as that function sees them; every pair of states is asked. */
function legalMoves<State extends string>(states: readonly State[], can: (from: State, to: State) => boolean): Record<string, string> {
  return Object.fromEntries(states.map((from) => [from, states.filter((to) => can(from, to)).join(' ')]));
}

/** The same of a function that throws. */
const passes = <State extends string>(assert: (from: State, to: State) => void) => (from: State, to: State): boolean => codeOf(() => assert(from, to)) !== 'internal';

describe('flight', () => {
  test('the ordinary moves are exactly these', () => {
    expect(legalMoves(flight.flightStates, passes(flight.assertMove))).toEqual({
      queued: 'waking running failed cancelled expired indeterminate',
      waking: 'running failed cancelled expired indeterminate',
      running: 'waiting completed failed cancelled indeterminate',
      waiting: 'running completed failed cancelled indeterminate',
      completed: '',
      failed: '',
      cancelled: '',
      expired: '',
      indeterminate: '',
    });
  });

  test('a terminal state has no ordinary move and every other state has a way to each end it may have', () => {
    for (const state of flight.flightStates) {
      expect(flight.flightMoves[state].length === 0).toBe(flight.isTerminal(state));
      const ends = (['failed', 'cancelled', 'indeterminate'] as const).filter((end) => flight.flightMoves[state].includes(end));
      expect(ends).toHaveLength(flight.isTerminal(state) ? 0 : 3);
    }
  });

  test('whatever the moves, a flight that ran never ends expired', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 8 }), { maxLength: 30 }), (choices) => {
        let state: flight.FlightState = 'queued';
        let hasRun = false;
        for (const choice of choices) {
          const moves: readonly flight.FlightState[] = flight.flightMoves[state];
          if (moves.length === 0) break;
          state = moves[choice % moves.length] ?? state;
          hasRun ||= state === 'running' || state === 'waiting';
        }
        expect(hasRun && state === 'expired').toBe(false);
      }),
    );
  });

  test('only what was started is run again, and goes back to the queue', () => {
    expect(flight.flightStates.filter(flight.canRerun)).toEqual(['running', 'waiting']);
    expect(flight.rerun('waiting')).toBe('queued');
    expect(caught(() => flight.rerun('completed'))).toMatchObject({ code: 'internal', message: expect.stringContaining('completed') });
  });

  test('evidence refines indeterminate once and nothing else ever', () => {
    const refined = flight.flightStates.flatMap((from) => flight.flightStates.filter((to) => flight.canRefine(from, to)).map((to) => `${from} ${to}`));
    expect(refined).toEqual(['completed', 'failed', 'cancelled', 'expired'].map((to) => `indeterminate ${to}`));
    for (const from of flight.flightStates) {
      for (const to of flight.flightStates) {
        const result = outcome(() => flight.refineIndeterminate(from, to));
        expect(result instanceof BrokerError ? result.code : result).toBe(flight.canRefine(from, to) ? to : 'internal');
      }
    }
  });
});

describe('delivery', () => {
  test('the moves are exactly these', () => {
    const moves = legalMoves(delivery.deliveryStates, delivery.canMoveDelivery);
    expect(legalMoves(delivery.deliveryStates, passes(delivery.assertDeliveryMove))).toEqual(moves);
    expect(moves).toEqual({
      planned: 'deferred sent received rejected dead cancelled',
      deferred: 'sent received rejected dead cancelled',
      sent: 'deferred received rejected dead cancelled',
      received: '',
      rejected: '',
      dead: '',
      cancelled: '',
    });
  });

  test('a delivery is over exactly in the states without a move', () => {
    for (const state of delivery.deliveryStates) expect(delivery.isTerminalDelivery(state)).toBe(delivery.deliveryMoves[state].length === 0);
  });

  test('the failure reasons are the eight pinned ones', () => {
    expect(delivery.failureReasons.join(' ')).toBe(
      'peer_unreachable peer_rejected denied agent_offline timeout overload incompatible cancelled',
    );
  });
});

describe('peer', () => {
  test('the moves are exactly these', () => {
    expect(legalMoves(peer.peerStates, peer.canMovePeer)).toEqual({
      discovered: 'alive unreachable left removed incompatible',
      alive: 'discovered suspect left removed incompatible',
      suspect: 'discovered alive unreachable left removed incompatible',
      unreachable: 'discovered alive left removed incompatible',
      left: 'discovered removed',
      removed: 'discovered',
      incompatible: 'alive unreachable left removed',
    });
  });

  test('a peer that was alive is suspected before it is unreachable', () => {
    expect(peer.canMovePeer('alive', 'unreachable')).toBe(false);
    expect(peer.isPeerState('alive')).toBe(true);
    expect(peer.isPeerState('here')).toBe(false);
  });
});
