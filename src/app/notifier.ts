/** Tells the person at this machine by a program: the one of the config file, else the desktop's own. */
import { spawn } from 'node:child_process';
import { BrokerError, unavailable } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import { nodeKeys } from '../domain/node-keys.ts';
import type { Notification, Notifier } from '../domain/notification.ts';
import type { Clock } from '../domain/ports.ts';
import { neutralise, quoted } from '../domain/text.ts';
import { findExecutable } from '../harness/executable.ts';

const limitMs = 10_000;
const longestBody = 500;
/** Of what the program says on stderr. */
const longestWords = 2000;
const lastWordsMs = 200;

export interface NotifierParts {
  /** Program and arguments; never a shell. */
  readonly command: readonly string[] | undefined;
  readonly configFile: string;
  /** The node's own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where its state is, so that the program can call `beckon`. */
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly clock: Clock;
}

/** Looks for the desktop's program once. */
export async function createNotifier(parts: NotifierParts): Promise<Notifier> {
  const { command, configFile, environment, home, platform } = parts;
  if (command !== undefined) return { unable: undefined, notify: (each, signal) => run(parts, command, each, signal) };
  const program = platform === 'darwin' ? 'osascript' : 'notify-send';
  const found = await lookFor(program, environment['PATH'] ?? '/usr/bin:/bin', home);
  const unable = found === undefined ? `nothing shows notifications on this machine: set notify = ["program", …] in ${configFile}, or install ${program}` : undefined;
  return {
    unable,
    notify: (each, signal) => (found === undefined ? Promise.reject(unavailable(unable ?? '')) : run(parts, [found, ...desktopArguments(platform, each)], each, signal)),
  };
}

async function lookFor(program: string, path: string, cwd: string): Promise<string | undefined> {
  try {
    return await findExecutable(program, path, cwd);
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'unavailable') return undefined;
    throw error;
  }
}

function desktopArguments(platform: NodeJS.Platform, notification: Notification): string[] {
  const [title, body] = words(notification);
  if (platform === 'darwin') return ['-e', 'on run argv', '-e', 'display notification (item 2 of argv) with title (item 1 of argv)', '-e', 'end run', title, body];
  // What shows it may read the body as markup.
  return ['--app-name=Beckon', '--', title, body.replaceAll('&', '&amp;').replaceAll('<', '&lt;')];
}

function words({ event, target, state, waiting, error }: Notification): [title: string, body: string] {
  const title = event === 'waiting' ? `${target} waits for ${waiting?.reason ?? 'you'}` : `${target}: ${state}`;
  return [title, neutralise(waiting?.prompt ?? error?.message ?? '').slice(0, longestBody)];
}

/** Its environment is the node's without keys, and `BECKON_*`, its stdin the same as JSON. @throws BrokerError `unavailable` when it fails or takes over 10 s */
function run({ environment, home, clock }: NotifierParts, [program = '', ...args]: readonly string[], notification: Notification, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: home, env: environmentOf(environment, home, notification), stdio: ['pipe', 'ignore', 'pipe'], detached: true });
    let said = '';
    let isSettled = false;
    const kill = (): void => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Its group ended in this very moment.
        child.kill('SIGKILL');
      }
    };
    const settle = (failure: string | undefined, words = ''): void => {
      if (isSettled) return;
      isSettled = true;
      cancelTimer();
      cancelWords();
      signal.removeEventListener('abort', onAbort);
      kill();
      if (failure === undefined) resolve();
      // Its words may hold what it was told, a prompt or a key of its own: they are beside the message, which is logged.
      else reject(new BrokerError('unavailable', `${quoted(program, 200)} ${failure}`, { hint: 'run it by hand to see what it says', ...(words === '' ? {} : { detail: { said: quoted(words, 200) } }) }));
    };
    const onAbort = (): void => settle('was ended with the node');
    let cancelWords = (): void => undefined;
    const cancelTimer = clock.setTimer(limitMs, () => settle(`did not end within ${limitMs / 1000} s`));
    signal.addEventListener('abort', onAbort, { once: true });
    child.on('error', (error) => settle(`can't be run: ${error.message}`));
    child.on('exit', (code, killedBy) => {
      if (code === 0 || isSettled) return settle(undefined);
      const fail = (): void => settle(`failed: ${killedBy ?? `exit code ${code}`}`, said.trim());
      // Its last words may still be on their way; what it left running may hold the pipe open.
      child.stderr.once('end', fail);
      cancelWords = clock.setTimer(lastWordsMs, fail);
    });
    child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(0, longestWords)));
    // A program that does not read it is no failure.
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${JSON.stringify(documentOf(notification))}\n`);
    if (signal.aborted) onAbort();
  });
}

function environmentOf(base: NotifierParts['environment'], home: string, notification: Notification): Record<string, string> {
  const { event, flightId, invocationId, target, state, waiting, exitCode, error } = notification;
  const about = {
    BECKON_EVENT: event,
    BECKON_FLIGHT_ID: flightId,
    BECKON_INVOCATION_ID: invocationId,
    BECKON_TARGET: target,
    BECKON_STATE: state,
    BECKON_REASON: waiting?.reason,
    BECKON_REQUEST: waiting?.request,
    BECKON_PROMPT: waiting?.prompt,
    BECKON_EXIT_CODE: exitCode?.toString(),
    BECKON_ERROR: error?.message,
    BECKON_HOME: home,
    [flightTokenVariable]: undefined,
    ...Object.fromEntries(nodeKeys.map((name) => [name, undefined])),
  };
  const all = Object.entries({ ...base, ...about }).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value.replaceAll('\0', '')]]));
  return Object.fromEntries(all);
}

/** Times are ISO 8601, UTC, as in all JSON of Beckon. */
function documentOf({ waiting, ...rest }: Notification): object {
  if (waiting === undefined) return rest;
  const { untilMs, ...asked } = waiting;
  return { ...rest, ...asked, ...(untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }) };
}
