/** Processes of flights as callers: who shows a token, and what is theirs to see. */
import { maxDepth } from '../domain/ancestry.ts';
import { BrokerError, denied } from '../domain/errors.ts';
import type { FlightTokens } from '../domain/flight-token.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import { isTerminal } from '../domain/flight.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { CallingFlight, LocalCaller } from './api.ts';
import type { FlightTraces } from './flight-traces.ts';
import type { Self } from './self.ts';

export interface FlightCallersParts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Pick<Self, 'nodeId'>;
  readonly tokens: FlightTokens;
  readonly traces: FlightTraces;
}

export class FlightCallers {
  readonly #parts: FlightCallersParts;

  constructor(parts: FlightCallersParts) {
    this.#parts = parts;
  }

  /** @throws BrokerError `unauthenticated` */
  callerOf(token: string): LocalCaller {
    const { tokens, store, self } = this.#parts;
    const flightId = tokens.flightIn(token);
    const named = flightId === undefined ? undefined : store.read.flight(flightId);
    if (named === undefined || named.ownerNodeId !== self.nodeId || !tokens.proves(token, named.id, named.run)) throw refused('is not one of this node');
    const flight = this.#atWork(named);
    const invocation = store.read.invocation(flight.invocationId);
    if (invocation === undefined || flight.state === 'queued' || isTerminal(flight.state)) throw refused(`is of a flight that does not run: it is ${flight.state}`);
    const { id: invocationId, target, ancestry } = invocation;
    const trace = this.#parts.traces.ofRun(invocation, flight.run);
    return { id: `agent:${target}`, flight: { flightId: flight.id, invocationId, target, ancestry, ...(trace === undefined ? {} : { trace }) } };
  }

  /** A process that was kept for its session has the token of its first turn: it stands for the turn that runs now. */
  #atWork(named: Flight): Flight {
    const { read } = this.#parts.store;
    const turn = named.sessionId === undefined ? undefined : read.turnOf(named.sessionId);
    return (turn === undefined ? undefined : read.flight(turn)) ?? named;
  }

  /** @throws BrokerError `denied` */
  checkFamily(caller: CallingFlight, flight: Flight): void {
    let id: InvocationId | undefined = flight.invocationId;
    for (let depth = 0; id !== undefined && depth <= maxDepth; depth += 1) {
      if (id === caller.invocationId) return;
      id = this.#parts.store.read.invocation(id)?.ancestry.parentId;
    }
    throw denied(`${flight.id} is not for ${caller.target} to see or to end: it neither is its flight nor came of it`, 'a process of a flight has its own flight and what it invoked');
  }
}

function refused(why: string): BrokerError {
  return new BrokerError('unauthenticated', `the token in ${flightTokenVariable} ${why}`, { hint: `outside a flight: unset ${flightTokenVariable}` });
}
