import { describe, expect, test } from 'vitest';
import { judgementOf } from '../../../src/broker/policy-desk.ts';
import type { PolicyCaller } from '../../../src/domain/policy.ts';
import type { Flight } from '../../../src/domain/records.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [laptop, desktop, studio, desk, server] = [1, 2, 3, 4, 5].map(nodeIdFor) as [ReturnType<typeof nodeIdFor>, ...ReturnType<typeof nodeIdFor>[]];
const people: Readonly<Record<string, string>> = { [String(desktop)]: 'ada', [String(studio)]: 'bob', [String(desk)]: 'bob', [String(server)]: 'carol' };
const read = { member: (id: string) => (people[id] === undefined ? undefined : { owner: people[id] }) };
/** Of ada's laptop. */
const { sight } = judgementOf({ store: { read }, self: { nodeId: laptop, name: () => 'laptop', owner: () => 'ada' }, audit: { refused: () => undefined } } as unknown as Parameters<typeof judgementOf>[0], () => 0);
const from = (nodeId = studio): PolicyCaller => ({ nodeId: nodeId as PolicyCaller['nodeId'], owner: people[String(nodeId)] ?? '', name: 'it' });
const between = (originNodeId: unknown, ownerNodeId: unknown, rest: Partial<Flight> = {}): Flight => ({ target: '@fabric@laptop#main', originNodeId, ownerNodeId, ...rest }) as Flight;

describe('of a flight that ada’s laptop has', () => {
  test('between her own nodes her others see all, and bob’s nothing', () => {
    const flight = between(laptop, laptop);
    expect([desktop, studio, desk, server].map((each) => sight.ofFlight(from(each), flight))).toEqual(['text', 'nothing', 'nothing', 'nothing']);
  });

  test('that bob asked for, all his nodes see it, and carol’s none', () => {
    const flight = between(studio, laptop, { originOwner: 'bob' });
    expect([desktop, studio, desk, server].map((each) => sight.ofFlight(from(each), flight))).toEqual(['text', 'text', 'text', 'nothing']);
  });

  test('that was asked for by a node when it was somebody else’s, is theirs and not its present person’s', () => {
    const flight = between(studio, laptop, { originOwner: 'carol' });
    expect([studio, desk, server].map((each) => sight.ofFlight(from(each), flight))).toEqual(['text', 'nothing', 'text']);
  });

  test('that she asked of an agent of bob’s, his nodes see it', () => {
    const flight = between(laptop, studio);
    expect([desktop, desk, server].map((each) => sight.ofFlight(from(each), flight))).toEqual(['text', 'text', 'nothing']);
  });

  test('words are left out of what is shown to whom they are not for', () => {
    const flight = between(laptop, laptop, { error: { code: 'unavailable', message: 'SECRET' } });
    expect(JSON.stringify(sight.flight(from(desktop), flight))).toContain('SECRET');
    expect(JSON.stringify(sight.flight(from(studio), flight))).not.toContain('SECRET');
  });
});
