import { expect, test } from 'vitest';
import { RefusalLog } from '../../../src/app/refusal-log.ts';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function logged() {
  const lines: { readonly fields: LogFields; readonly message: string }[] = [];
  const add = (fields: LogFields, message: string): void => void lines.push({ fields, message });
  const clock = new FakeClock();
  return { lines, clock, log: new RefusalLog(clock, { debug: add, info: add, warn: add, error: add }) };
}

test('one address gets twelve lines a minute, and hides no other', () => {
  const { lines, log } = logged();
  for (let port = 1; port <= 10_000; port += 1) log.refused({ remoteAddress: `192.0.2.1:${port}`, why: 'TLS older than 1.3' });
  log.refused({ remoteAddress: '[2001:db8::1]:9', why: 'plain HTTP, not TLS' });
  expect(lines).toHaveLength(13);
  expect(lines[12]?.fields.address).toBe('[2001:db8::1]:9');
});

test('all together get sixty, and what was left out is said once when the minute is over, whether or not more come', async () => {
  const { lines, log, clock } = logged();
  for (let host = 0; host < 250; host += 1) log.refused({ remoteAddress: `192.0.2.${host}:1`, why: 'not TLS' });
  expect(lines).toHaveLength(60);
  await clock.advance(60_000);
  expect(lines.slice(60)).toEqual([{ fields: { count: 190 }, message: 'more connections were refused in the last minute' }]);
  log.refused({ remoteAddress: '192.0.2.1:1', why: 'not TLS' });
  await clock.advance(60_000);
  expect(lines).toHaveLength(62);
});
