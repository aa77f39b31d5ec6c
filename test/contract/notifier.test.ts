/** The program that tells the person at a node, as it is really run. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNotifier } from '../../src/app/notifier.ts';
import type { NotifierParts } from '../../src/app/notifier.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import type { Notification } from '../../src/domain/notification.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const about = { flightId: flightIdOf(ulid), invocationId: invocationIdOf(ulid), target: '@fabric@laptop#main' };
const waiting: Notification = { event: 'waiting', ...about, state: 'waiting', waiting: { reason: 'approval', request: 'req_1', prompt: 'may I <rm> & "go"?\n$(touch x)\0', choices: ['once'], untilMs: 0 } };
const failed: Notification = { event: 'finished', ...about, state: 'failed', exitCode: 3, error: { code: 'deadline', message: 'it overran its run limit' } };
const never = new AbortController().signal;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-notify-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function program(name: string, body: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const parts = (changes: Partial<NotifierParts>): NotifierParts => ({
  command: undefined,
  configFile: '/etc/beckon/config.toml',
  environment: { PATH: `${directory}:/usr/bin:/bin`, DISPLAY: ':1', BECKON_TOKEN: 'secret' },
  home: directory,
  platform: 'linux',
  clock: createSystemClock(),
  ...changes,
});

describe('the command of the config file', () => {
  test('gets its arguments as they are, what happened in its environment, and the same as JSON on stdin', async () => {
    const command = [program('tell', 'printf "%s|" "$@" > args; env -0 > env; cat > stdin'), 'a b', '$(touch x)', ''];
    const notifier = await createNotifier(parts({ command }));
    expect(notifier.unable).toBeUndefined();
    await notifier.notify(waiting, never);
    expect(readFileSync(join(directory, 'args'), 'utf8')).toBe('a b|$(touch x)||');
    const env = Object.fromEntries(readFileSync(join(directory, 'env'), 'utf8').split('\0').filter((line) => /^(BECKON_|DISPLAY)/.test(line)).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    expect(env).toEqual({
      DISPLAY: ':1', BECKON_EVENT: 'waiting', BECKON_FLIGHT_ID: about.flightId, BECKON_INVOCATION_ID: about.invocationId, BECKON_TARGET: about.target, BECKON_STATE: 'waiting',
      BECKON_REASON: 'approval', BECKON_REQUEST: 'req_1', BECKON_PROMPT: 'may I <rm> & "go"?\n$(touch x)', BECKON_HOME: directory,
    });
    expect(JSON.parse(readFileSync(join(directory, 'stdin'), 'utf8'))).toEqual({
      event: 'waiting', ...about, state: 'waiting', reason: 'approval', request: 'req_1', prompt: waiting.waiting?.prompt, choices: ['once'], until: '1970-01-01T00:00:00.000Z',
    });
    expect(existsSync(join(directory, 'x'))).toBe(false);
    await notifier.notify(failed, never);
    expect(JSON.parse(readFileSync(join(directory, 'stdin'), 'utf8'))).toEqual({ event: 'finished', ...about, state: 'failed', exitCode: 3, error: failed.error });
  });

  test('that reads nothing, or leaves something running, is no failure', async () => {
    const command = [program('tell', 'sleep 1000 & echo $! > left; exit 0')];
    await (await createNotifier(parts({ command }))).notify({ ...waiting, waiting: { ...waiting.waiting!, prompt: 'x'.repeat(100_000) } }, never);
    const left = Number(readFileSync(join(directory, 'left'), 'utf8'));
    expect(isRunning(left)).toBe(true);
    process.kill(left, 'SIGKILL');
  });

  test.each([
    ['fails', ['sh', '-c', 'echo no display >&2; exit 3'], /"sh" failed: exit code 3$/],
    ['is killed', ['sh', '-c', 'kill -9 $$'], /failed: SIGKILL/],
    ['is not there', ['nowhere-to-be-found'], /"nowhere-to-be-found" can't be run: .*ENOENT/],
  ])('that %s is named, without what it said, which may be anybody’s', async (_what, command, message) => {
    await expect((await createNotifier(parts({ command }))).notify(waiting, never)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(message) });
  });

  test('that hangs is ended after 10 s with all that it started, or at once with its node', async () => {
    for (const end of ['time', 'node'] as const) {
      const clock = new FakeClock();
      const stopping = new AbortController();
      rmSync(join(directory, 'pids'), { force: true });
      const command = [program('tell', 'sleep 1000 & echo $$ $! > pids; wait')];
      const notified = (await createNotifier(parts({ command, clock }))).notify(waiting, stopping.signal).then(() => 'told', (error: unknown) => (error as Error).message);
      const pids = (await waitFor('it to run', () => (existsSync(join(directory, 'pids')) ? /^(\d+) (\d+)\n/.exec(readFileSync(join(directory, 'pids'), 'utf8')) : null))).slice(1).map(Number);
      if (end === 'time') await clock.advance(10_000);
      else stopping.abort();
      expect(await notified).toMatch(end === 'time' ? /did not end within 10 s/ : /was ended with the node/);
      await waitFor('all of it to be gone', () => pids.every((pid) => !isRunning(pid)));
      expect(clock.pending).toBe(0);
    }
  });
});

describe('without one the desktop is used', () => {
  test.each([
    ['linux', 'notify-send', ['--app-name=Beckon', '--', '@fabric@laptop#main waits for approval', 'may I &lt;rm> &amp; "go"?\n$(touch x)␀']],
    ['darwin', 'osascript', ['-e', 'on run argv', '-e', 'display notification (item 2 of argv) with title (item 1 of argv)', '-e', 'end run', '@fabric@laptop#main waits for approval', 'may I <rm> & "go"?\n$(touch x)␀']],
  ] as const)('%s: %s', async (platform, name, expected) => {
    program(name, 'printf "%s\\036" "$@" > args');
    const notifier = await createNotifier(parts({ platform }));
    expect(notifier.unable).toBeUndefined();
    await notifier.notify(waiting, never);
    expect(readFileSync(join(directory, 'args'), 'utf8').split('\u001e').slice(0, -1)).toEqual(expected);
    await notifier.notify(failed, never);
    expect(readFileSync(join(directory, 'args'), 'utf8')).toContain('@fabric@laptop#main: failed\u001eit overran its run limit');
  });

  test('where it has nothing, that is said, with what to do', async () => {
    const notifier = await createNotifier(parts({ environment: { PATH: directory } }));
    expect(notifier.unable).toMatch(/notify = \["program", …\] in \/etc\/beckon\/config\.toml, or install notify-send/);
    await expect(notifier.notify(waiting, never)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
