import { describe, expect, test } from 'vitest';
import type { Fact } from '../../../src/domain/event.ts';
import type { NodeReport } from '../../../src/domain/observation.ts';
import type { Delivery, Flight } from '../../../src/domain/records.ts';
import { deliveryStates, factOfStates, flightStates, reportOfStates, sightOf } from '../../../src/domain/visibility.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [origin, owner, third] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const parties = { nodes: [origin, owner], persons: ['bob', 'ada'] };

describe('who sees what of a flight', () => {
  test.each([
    ['its origin, whatever the policy says', origin, 'bob', 'denied', 'text'],
    ['its owner, whatever the policy says', owner, 'ada', 'denied', 'text'],
    ['its origin that belongs to somebody else by now', origin, 'carol', 'unruled', 'text'],
    ['another node of the person who asked', third, 'bob', 'unruled', 'text'],
    ['another node of the person of the agent', third, 'ada', 'allowed', 'text'],
    ['another node of a party’s person that is denied', third, 'ada', 'denied', 'nothing'],
    ['a third person who may inspect', third, 'carol', 'allowed', 'states'],
    ['a third person of whom nothing is said', third, 'carol', 'unruled', 'nothing'],
    ['a third person who is denied', third, 'carol', 'denied', 'nothing'],
    ['a person of a name that only looks alike', third, 'Ada', 'unruled', 'nothing'],
    ['a node without a person', third, '', 'unruled', 'nothing'],
  ] as const)('%s', (_who, nodeId, person, inspects, sight) => {
    expect(sightOf({ nodeId, owner: person }, parties, inspects)).toBe(sight);
  });
});

const secret = 'SECRET';
const held = (value: unknown): boolean => JSON.stringify(value).includes(secret);

describe('states without text', () => {
  test('of a flight: neither its question nor the words of its error, but which request waits and what kind of error it was', () => {
    const flight = {
      target: '@fabric@desktop#main', state: 'waiting', run: 1,
      waiting: { reason: 'approval', request: 'req_1', prompt: secret, choices: [secret], sinceMs: 1 },
      error: { code: 'unavailable', message: secret, hint: secret, detail: { said: secret }, candidates: [{ address: secret }] },
    } as unknown as Flight;
    const shown = flightStates(flight);
    expect(held(shown)).toBe(false);
    expect(shown).toMatchObject({ target: '@fabric@desktop#main', state: 'waiting', run: 1, waiting: { reason: 'approval', request: 'req_1', choices: [] }, error: { code: 'unavailable' } });
    const plain = { state: 'completed' } as Flight;
    expect(flightStates(plain)).toEqual(plain);
  });

  test('of a delivery: why it failed, not what was said', () => {
    const shown = deliveryStates({ status: 'rejected', failureReason: 'peer_rejected', failureDetail: secret } as Delivery);
    expect(shown).toEqual({ status: 'rejected', failureReason: 'peer_rejected' });
  });

  test('of facts: those of invocations, with what is on a closed list', () => {
    const fact = { what: 'delivery.deferred', invocationId: 'inv_1', detail: { reason: 'peer_unreachable', why: secret, head: secret, attempt: '2' } } as unknown as Fact;
    expect(factOfStates(fact)).toMatchObject({ what: 'delivery.deferred', detail: { reason: 'peer_unreachable', attempt: '2' } });
    expect(factOfStates({ what: 'project.approved', detail: { root: secret } } as unknown as Fact)).toBeUndefined();
  });

  test('of a report: numbers and states, of a flight no reason in words', () => {
    const flight = { invocationId: 'inv_1', target: '@a@b#c', why: secret };
    const report = {
      undelivered: { count: 1, more: false, oldest: flight }, waiting: { count: 0, more: false }, dead: { count: 1, more: false, newest: [flight] }, indeterminate: { count: 1, more: false, newest: [flight] },
      owing: [{ nodeId: third, undelivered: { count: 1, more: false, oldest: flight }, open: { count: 1, more: false } }], slow: [], flights: { failed: 3 },
    } as unknown as NodeReport;
    const shown = reportOfStates(report);
    expect(held(shown)).toBe(false);
    expect(shown).toMatchObject({ flights: { failed: 3 }, dead: { newest: [{ invocationId: 'inv_1', why: '' }] }, undelivered: { count: 1 } });
  });
});
