import { expect, test } from 'vitest';
import type { Context } from '../../../src/cli/context.ts';
import { Output } from '../../../src/cli/output.ts';
import { StatusLine } from '../../../src/cli/status-line.ts';
import { CliProcess } from '../../support/cli-host.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setUp({ terminal = true, json = false, env = { NO_COLOR: '1' } as Record<string, string> } = {}) {
  const clock = new FakeClock();
  const ran = new CliProcess({ socketPath: '/nowhere', terminal, clock, env });
  const context = { host: ran.host, out: new Output(ran.host, json) } as Context;
  return { ran, clock, line: new StatusLine(context) };
}

test('it appears after a second of silence, counts, and is taken back before anything else is written', async () => {
  const { ran, clock, line } = setUp();
  line.set('at work on desktop');
  expect(ran.stderr).toBe('');
  await clock.advance(1000);
  expect(ran.stderr).toBe('\r\u001b[Kat work on desktop … 1s');
  await clock.advance(1000);
  expect(ran.stderr.endsWith('\r\u001b[Kat work on desktop … 2s')).toBe(true);
  line.clear();
  expect(ran.stderr.endsWith('2s\r\u001b[K')).toBe(true);
  const { length } = ran.stderr;
  await clock.advance(10_000);
  expect(ran.stderr, 'until what was to be written is').toHaveLength(length);
  line.rest();
  await clock.advance(1000);
  expect(ran.stderr).toMatch(/at work on desktop … 13s$/);
  line.set(undefined);
  await clock.advance(10_000);
  expect(ran.stderr.endsWith('13s\r\u001b[K')).toBe(true);
});

test.each([
  ['there is no terminal', { terminal: false }],
  ['the output is JSON', { json: true }],
  ['the terminal can not take a line back', { env: { TERM: 'dumb' } }],
])('it is not shown where %s', async (_why, options) => {
  const { ran, clock, line } = setUp(options);
  line.set('at work');
  await clock.advance(5000);
  expect(ran.stderr).toBe('');
});
