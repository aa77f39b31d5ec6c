import { beforeEach, describe, expect, test } from 'vitest';
import { flightTraces } from '../../../src/app/telemetry.ts';
import { FlightCallers } from '../../../src/broker/flight-callers.ts';
import { ancestryOf } from '../../../src/domain/ancestry.ts';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { flightIdOf, flightOfInvocation, invocationOfFlight, sessionOfInvocation } from '../../../src/domain/ids.ts';
import type { FlightId, SessionId } from '../../../src/domain/ids.ts';
import type { Invocation } from '../../../src/domain/invocation.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { StoreReads } from '../../../src/domain/store-port.ts';
import { createFlightTokens } from '../../../src/trust/flight-tokens.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';

const [me, other] = [nodeIdFor(1), nodeIdFor(2)];
const tokens = createFlightTokens(new Uint8Array(32).fill(7));

describe('processes of flights as callers', () => {
  let invocations: Map<string, Invocation>;
  let flights: Map<string, Flight>;
  let callers: FlightCallers;
  const story = new Story();

  beforeEach(() => {
    invocations = new Map();
    flights = new Map();
    const turnOf = (id: SessionId): FlightId | undefined => [...flights.values()].find(({ sessionId, state }) => sessionId === id && state === 'running')?.id;
    const read = { flight: (id: FlightId) => flights.get(id), invocation: (id: string) => invocations.get(id), turnOf } as unknown as StoreReads;
    callers = new FlightCallers({ store: { read }, self: { nodeId: me }, tokens, traces: flightTraces(me, undefined) });
  });

  function known(changes: Partial<Flight> = {}, parent?: Invocation): Flight {
    const id = story.invocationId();
    const ancestry = ancestryOf(id, parent === undefined ? undefined : { invocationId: parent.id, target: parent.target, ancestry: parent.ancestry });
    const invocation = story.invocation({ origin: me, owner: me }, { id, ancestry });
    const flight = { id: flightOfInvocation(id), invocationId: id, ownerNodeId: me, state: 'running', run: 1, ...changes } as Flight;
    invocations.set(id, invocation);
    flights.set(flight.id, flight);
    return flight;
  }
  const invocationOf = (flight: Flight): Invocation => invocations.get(flight.invocationId) as Invocation;

  test('are the agent at work, with its place in the chain', () => {
    const flight = known();
    expect(callers.callerOf(tokens.of(flight.id, 1))).toEqual({
      id: 'agent:@fabric@laptop#main',
      flight: { flightId: flight.id, invocationId: flight.invocationId, target: '@fabric@laptop#main', ancestry: invocationOf(flight).ancestry },
    });
  });

  test('hand on the trace of their run, whatever their environment has of it', () => {
    const flight = known({ run: 2 });
    const traced = { ...invocationOf(flight), trace: { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1 } };
    invocations.set(flight.invocationId, traced);
    expect(callers.callerOf(tokens.of(flight.id, 2)).flight?.trace).toEqual(traced.trace);
    const traces = flightTraces(me, { ratio: 1 });
    const telling = new FlightCallers({ store: { read: { flight: (id: FlightId) => flights.get(id), invocation: (id: string) => invocations.get(id) } as unknown as StoreReads }, self: { nodeId: me }, tokens, traces });
    expect(telling.callerOf(tokens.of(flight.id, 2)).flight?.trace).toEqual(traces.ofRun(traced, 2));
  });

  test.each(flightStates)('a token opens as long as its flight runs: %s', (state) => {
    const flight = known({ state });
    const call = (): unknown => callers.callerOf(tokens.of(flight.id, 1));
    if (state === 'queued' || isTerminal(state)) expect(call).toThrow(expect.objectContaining({ code: 'unauthenticated', message: expect.stringContaining(state) }));
    else expect(call).not.toThrow();
  });

  test('a token of an earlier run, another node, an unknown flight, or none at all is refused', () => {
    const [second, elsewhere, unknown] = [known({ run: 2 }), known({ ownerNodeId: other }), flightIdOf(story.ulid())];
    const forged = `${second.id}.${tokens.of(elsewhere.id, 2).split('.')[1]}`;
    for (const token of [tokens.of(second.id, 1), tokens.of(elsewhere.id, 1), tokens.of(unknown, 1), forged, '']) {
      expect(() => callers.callerOf(token)).toThrow(expect.objectContaining({ code: 'unauthenticated', hint: expect.stringContaining('unset BECKON_TOKEN') }));
    }
  });

  test('of a session are the turn that runs now, whichever turn they were spawned for', () => {
    const sessionId = sessionOfInvocation(story.invocationId());
    const [first, elsewhere] = [known({ sessionId, state: 'completed' }), known({ sessionId: sessionOfInvocation(story.invocationId()) })];
    const token = tokens.of(first.id, 1);
    expect(() => callers.callerOf(token)).toThrow(expect.objectContaining({ code: 'unauthenticated', message: expect.stringContaining('completed') }));
    const second = known({ sessionId });
    expect(callers.callerOf(token).flight).toMatchObject({ flightId: second.id, ancestry: invocationOf(second).ancestry });
    expect(callers.callerOf(tokens.of(elsewhere.id, 1)).flight).toMatchObject({ flightId: elsewhere.id });
    // Of another run of the first turn: no such process is kept.
    expect(() => callers.callerOf(tokens.of(first.id, 2))).toThrow(expect.objectContaining({ code: 'unauthenticated' }));
  });

  test('have their own flight and all that came of it, and neither their parent nor their siblings', () => {
    const root = known();
    const self = known({}, invocationOf(root));
    const child = known({}, invocationOf(self));
    const grandchild = known({}, invocationOf(child));
    const sibling = known({}, invocationOf(root));
    const { flight } = callers.callerOf(tokens.of(self.id, 1));
    if (flight === undefined) throw new Error('a flight');
    for (const theirs of [self, child, grandchild]) expect(() => callers.checkFamily(flight, theirs)).not.toThrow();
    for (const others of [root, sibling, known()]) expect(() => callers.checkFamily(flight, others)).toThrow(expect.objectContaining({ code: 'denied' }));
    expect(invocationOfFlight(self.id)).toBe(flight.invocationId);
  });
});
