import { describe, expect, test } from 'vitest';
import { localTime } from '../../../src/cli/output.ts';
import { checkSince, sinceMs } from '../../../src/cli/since.ts';
import { CliProcess } from '../../support/cli-host.ts';

const nowMs = Date.UTC(2026, 10, 21, 23, 3, 50);

describe('a time in the past', () => {
  test('is so long ago, an ISO 8601 time, or one as a list shows it, by the clock of this machine', () => {
    expect(sinceMs(checkSince('1h'), nowMs)).toBe(nowMs - 3_600_000);
    expect(sinceMs(checkSince('2026-11-21T20:00:00Z'), nowMs)).toBe(Date.UTC(2026, 10, 21, 20));
    expect(sinceMs(checkSince(localTime(nowMs)), nowMs)).toBe(nowMs);
  });

  test.each([
    ['nonsense', 'is neither a duration nor a time'],
    ['2026-13-45', 'is neither a duration nor a time'],
    ['2026-11-21 25:00:00', 'is neither a duration nor a time'],
    ['', 'is neither a duration nor a time'],
    ['0d', 'is no time at all'],
    ['99999d', 'is too long: 365d at most'],
  ])('is refused for what is wrong with it: %s', (given, words) => {
    expect(() => checkSince(given)).toThrow(words);
  });
});

test.each([['--check', '--since', '1d'], ['--note', '--since', '1d'], ['--check', '--after', 'x']])('the whole audit is checked and noted, and who names a part of it is told so: %s %s', async (...args) => {
  const ran = new CliProcess({ socketPath: '/nowhere' });
  expect(await ran.run('audit', ...args, '--json')).toBe(2);
  expect(ran.json).toMatchObject({ error: { code: 'invalid', message: expect.stringContaining('whole audit') } });
});
