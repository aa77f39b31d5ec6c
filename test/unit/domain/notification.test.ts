import { expect, test } from 'vitest';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { flightIdOf, invocationIdOf } from '../../../src/domain/ids.ts';
import { notificationDue } from '../../../src/domain/notification.ts';
import type { Flight } from '../../../src/domain/records.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const waiting = { reason: 'approval', request: 'req_1', prompt: 'may I?', choices: ['once'], sinceMs: 1, untilMs: 2 } as const;
const flight = (changes: Partial<Flight>): Flight => ({ id: flightIdOf(ulid), invocationId: invocationIdOf(ulid), target: '@fabric@laptop#main', ...changes }) as Flight;

test.each(flightStates)('a flight that is %s is told of when it is over or waits, once', (state) => {
  const due = notificationDue(flight({ state, ...(state === 'waiting' ? { waiting } : {}) }), undefined);
  if (!isTerminal(state) && state !== 'waiting') {
    expect(due).toBeUndefined();
    return;
  }
  expect(due?.notification).toMatchObject({ event: state === 'waiting' ? 'waiting' : 'finished', state, flightId: `flt_${ulid}` });
  expect(notificationDue(flight({ state, ...(state === 'waiting' ? { waiting } : {}) }), due?.mark)).toBeUndefined();
});

test('each request is told, and the end after it', () => {
  const first = notificationDue(flight({ state: 'waiting', waiting }), undefined);
  expect(first?.notification.waiting).toEqual({ reason: 'approval', request: 'req_1', prompt: 'may I?', choices: ['once'], untilMs: 2 });
  expect(notificationDue(flight({ state: 'waiting', waiting: { ...waiting, request: 'req_2' } }), first?.mark)).toMatchObject({ mark: 'req_2' });
  const error = { code: 'deadline', message: 'too long' } as const;
  expect(notificationDue(flight({ state: 'failed', exitCode: 3, error }), 'req_2')).toMatchObject({ notification: { event: 'finished', exitCode: 3, error } });
});
