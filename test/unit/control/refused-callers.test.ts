import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { tellingOf } from '../../../src/control/refused-callers.ts';
import { denied } from '../../../src/domain/errors.ts';
import { flightIdOf } from '../../../src/domain/ids.ts';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import type { Calling } from '../../../src/rpc/handler.ts';
import { flightTokenHeader } from '../../../src/rpc/flight-token.ts';
import { silentLog } from '../../support/temp-store.ts';

const ulid = (number: number): string => `01J9Z6M3T4V8Q2X7K5B1${String(number).padStart(6, '0')}`;

function fixture() {
  const lines: LogFields[] = [];
  let nowMs = 0;
  const log = { ...silentLog, warn: (fields: LogFields) => void lines.push(fields) };
  const authenticate = tellingOf({ clock: { monotonic: () => nowMs }, log }, (call: Calling): string => {
    if (call.getPath() === '/open') return 'caller';
    throw denied('it is not open');
  });
  const ask = (path: string, token: string): string | undefined => {
    const metadata = new Metadata();
    metadata.set(flightTokenHeader, token);
    try {
      return authenticate({ metadata, getPath: () => path, getPeer: () => '', getAuthContext: () => ({}) });
    } catch {
      return undefined;
    }
  };
  return { lines, ask, later: (ms: number) => (nowMs += ms) };
}

test('what a flight may not is told once a flight and call, however often it tries, and what it may is not', () => {
  const { lines, ask } = fixture();
  for (let count = 0; count < 50; count += 1) for (const path of ['/share', '/approve']) ask(path, `${flightIdOf(ulid(1))}.secret`);
  ask('/share', `${flightIdOf(ulid(2))}.secret`);
  expect(ask('/open', 'any')).toBe('caller');
  expect(lines.map(({ flightId, call }) => [flightId, call])).toEqual([[flightIdOf(ulid(1)), '/share'], [flightIdOf(ulid(1)), '/approve'], [flightIdOf(ulid(2)), '/share']]);
  expect(JSON.stringify(lines)).not.toContain('secret');
});

test('tokens that are made up fill no log: so many lines a minute, and none names what is no flight', () => {
  const { lines, ask, later } = fixture();
  for (let count = 0; count < 500; count += 1) ask('/share', `${flightIdOf(ulid(count))}.x`);
  expect(lines).toHaveLength(60);
  later(60_000);
  ask('/share', 'made up');
  expect(lines).toHaveLength(61);
  expect(lines[60]).not.toHaveProperty('flightId');
});
