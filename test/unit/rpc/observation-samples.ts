/** Arbitrary answers about facts, flights and nodes, for properties. */
import fc from 'fast-check';
import { flightStates } from '../../../src/domain/flight.ts';
import { peerStates } from '../../../src/domain/peer.ts';
import { fact, hlc, invocationId, nodeId } from './samples.ts';

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const count = fc.nat({ max: 2 ** 32 - 1 });
const some = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const type = <Type extends string>(name: Type): fc.Arbitrary<Type> => fc.constant(name);
const least = <Keys extends string>(...requiredKeys: Keys[]): { requiredKeys: Keys[] } => ({ requiredKeys });

const standing = fc.record(
  {
    originNodeId: nodeId, ownerNodeId: nodeId, state: fc.constantFrom(...flightStates), run: count, lastSeq: number, acceptedAtMs: number, cancelRequested: fc.boolean(),
    receivedAtMs: number, startedAtMs: number, finishedAtMs: number, verdictBy: fc.constantFrom('owner' as const, 'origin' as const),
  },
  least('originNodeId', 'ownerNodeId', 'state', 'run', 'lastSeq', 'acceptedAtMs', 'cancelRequested'),
);
const found = fc.record({ invocationId, originNodeId: nodeId, ownerNodeId: nodeId });
const troubledFlight = fc.record({ invocationId, originNodeId: nodeId, ownerNodeId: nodeId, target: some, sinceMs: number, why: fc.string(), attempts: count });
const backlog = fc.record({ count, more: fc.boolean(), oldest: troubledFlight }, least('count', 'more'));
const troubled = fc.record({ count, more: fc.boolean(), newest: fc.array(troubledFlight, { maxLength: 3 }) });
const slow = fc.record(
  { address: some, queued: count, running: count, why: some, oldestQueuedMs: number, longestRunMs: number, usualRunMs: number },
  least('address', 'queued', 'running', 'why'),
);
const sums = <State extends string>(states: readonly State[]) => fc.dictionary(fc.constantFrom(...states), count, { noNullPrototype: true });
export const nodeReport = fc.record(
  {
    nodeId, name: some, owner: some, version: some, epoch: number, draining: fc.boolean(), flights: sums(flightStates), peers: sums(peerStates),
    undelivered: backlog, dead: troubled, indeterminate: troubled, waiting: backlog, slow: fc.array(slow, { maxLength: 3 }),
    owing: fc.array(fc.record({ nodeId, undelivered: backlog, open: fc.record({ count, more: fc.boolean() }) }), { maxLength: 3 }), refused: some,
  },
  least('nodeId', 'name', 'owner', 'version', 'epoch', 'draining', 'flights', 'peers', 'undelivered', 'dead', 'indeterminate', 'waiting', 'slow', 'owing'),
);

export const trace = fc.record({ type: type('trace'), facts: fc.array(fact, { maxLength: 4 }), standing }, least('type', 'facts'));
export const facts = fc.record({ type: type('facts'), facts: fc.array(fact, { maxLength: 4 }), next: number, more: fc.boolean(), hlc, putBack: fc.boolean() });
export const find = fc.record({ type: type('find'), found: fc.array(found, { maxLength: 2 }) });
export const report = fc.record({ type: type('report'), report: nodeReport });
