/** `up`: the node in this process, or in one of its own. */
import { BrokerError, conflict, fromInfo, internal, invalid } from '../domain/errors.ts';
import { within } from '../domain/pause.ts';
import type { Entry } from '../domain/supervision-port.ts';
import type { Context } from './context.ts';
import { exitOk, exitStillGoing } from './exit.ts';
import type { GivenFlags, Host, Ready } from './host.ts';
import { refuseInFlight } from './in-flight.ts';
import { readLogLine, showLogLine } from './log-line.ts';
import { flag, number, text } from './options.ts';
import { ReaderGone } from './output.ts';
import type { OptionValues } from './options.ts';
import { readText } from './stdin.ts';
import { contextOf, nodeStatus, requireChange, startSupervised } from './supervised.ts';

const longestToken = 64 * 1024;
const nameFlag = '--name=';
/** How long to go on reading what a node that failed to start has to say. */
const lastWordsMs = 2000;

export async function up(context: Context, options: OptionValues): Promise<number> {
  const { host, out } = context;
  const typed = text(options, 'join');
  if (typed !== undefined) refuseInFlight(context, 'takes its node into no mesh');
  const join = typed === '-' ? await readToken(context) : typed;
  const given: GivenFlags = {
    ...pick('name', text(options, 'name')),
    ...pick('listen', options['listen'] as readonly string[] | undefined),
    ...pick('seeds', options['seed'] as readonly string[] | undefined),
    ...pick('tailscale', text(options, 'tailscale')),
    ...pick('gossipListen', text(options, 'gossipListen')),
    ...pick('metrics', text(options, 'metrics')),
    ...pick('join', join),
  };
  const drainMs = number(options, 'drain');
  if (flag(options, 'detach')) return await startDetached(context, [...flagsOf(given), ...(drainMs === undefined ? [] : [`--drain=${drainMs}ms`])], join ?? '');
  const onLogLine = out.isJson ? {} : { onLogLine: logLines(context) };
  return await foreground(context, given, () => host.node.run({ given, offline: false, ...onLogLine }), { isQuiet: out.isJson, drainMs });
}

async function foreground(
  { host, out }: Context,
  given: GivenFlags,
  run: () => ReturnType<Context['host']['node']['run']>,
  { isQuiet, drainMs }: { readonly isQuiet: boolean; readonly drainMs: number | undefined },
): Promise<number> {
  let stops = 0;
  let stop: ((force: boolean) => void) | undefined;
  let reload: (() => void) | undefined;
  let wantsReload = false;
  // Before the node starts, so that a signal in between is not lost.
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], (signal) => {
    if (signal === 'SIGHUP' && !isHangup(host)) {
      wantsReload = true;
      return reload?.();
    }
    stops += 1;
    stop?.(stops > 1);
  });
  try {
    const node = await run();
    const failures: unknown[] = [];
    stop = (force) => {
      if (!isQuiet) out.note(force ? 'stopping now: what runs becomes indeterminate' : out.dim('stopping: no new work; again to stop at once'));
      node.stop(force).catch((thrown: unknown) => failures.push(thrown));
      if (!force && drainMs !== undefined) host.clock.setTimer(drainMs, () => stop?.(true));
    };
    reload = () => void node.reload();
    await told(out.event('ready', ready(node.ready)));
    if (!isQuiet) {
      for (const note of node.notes) out.note(note);
      out.note(out.dim(`${node.ready.node} is up${given.join === undefined ? '' : ' and has joined'}; stop it with Ctrl-C or beckon down`));
    }
    // It was read before that.
    if (wantsReload) reload();
    if (stops > 0) stop(stops > 1);
    await node.stopped;
    if (failures.length > 0) throw failures[0];
    return exitOk;
  } finally {
    release();
  }
}

/** By hand, or by a service manager, it is a wish to read the config again; when the terminal has gone it is the end, as of everything that ran there. */
function isHangup(host: Host): boolean {
  const { stdin, stdout, stderr } = host.tty;
  return (stdin || stdout || stderr) && !host.hasTerminal();
}

/** On a terminal for people, elsewhere as they are. What nobody takes is dropped, and counted. */
function logLines({ host, out }: Context): (line: string) => void {
  const put = host.stderrLines();
  let dropped = 0;
  return (line) => {
    const read = host.tty.stderr ? readLogLine(line) : undefined;
    const shown = read === undefined ? line : `${showLogLine(read, out.noteColours)}\n`;
    const before = dropped === 0 || !host.tty.stderr ? '' : out.dim(`(${dropped} lines were not shown: beckon logs has them)\n`);
    if (put(`${before}${shown}`)) dropped = 0;
    else dropped += 1;
  };
}

/** A node needs no reader: `up --detach` may have been interrupted before it read the ready line. */
async function told(writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (thrown) {
    if (!(thrown instanceof ReaderGone)) throw thrown;
  }
}

/**
 * Starts this program again as a process of its own; prints its ready line, or reports what it failed with. Without flags, and where the
 * system's supervisor is to run the node, that starts it.
 */
export async function startDetached(context: Context, flags: readonly string[], stdin: string): Promise<number> {
  const { host, out } = context;
  if (flags.length === 0) {
    const entry = await (await host.supervision()).installed();
    if (entry !== undefined) return await startByEntry(context, entry);
  }
  const started = await launch(context, flags, stdin);
  if (started === undefined) return exitStillGoing;
  await out.line(started.line);
  if (out.isJson) return exitOk;
  out.note(out.dim(`${started.node} is up; stop it with beckon down, its log is ${host.logPath()}`));
  const name = flags.find((each) => each.startsWith(nameFlag))?.slice(nameFlag.length);
  // Only who lets others in can give one, and the node starts without.
  if (name !== undefined && name !== started.node) out.note(`${out.noteColours.yellow('warning:')} it is still called ${started.node}, the name ${name} was not given: beckon logs --level warn says why; then: beckon mesh rename ${name}`);
  return exitOk;
}

async function startByEntry(context: Context, entry: Entry): Promise<number> {
  const { host, out } = context;
  requireChange(entry, 'beckon up --detach');
  const there = contextOf(context, entry);
  if ((await nodeStatus(there)) !== undefined) throw conflict('a node is already running here', 'see beckon status, or stop it: beckon down');
  const status = await startSupervised(context, entry);
  if (status === undefined) {
    out.note('the node goes on starting; see beckon service status');
    return exitStillGoing;
  }
  const said = (await entry.supervisor.lastWords()).findLast((line) => isReady(parse(line)));
  const { name: node, nodeId, listen } = status;
  // Where its own line can't be read, what is known without it.
  await told(said === undefined ? out.event('ready', { node, nodeId, listen: listen[0] ?? null, gossipListen: null, socket: entry.socketPath }) : out.line(said));
  if (!out.isJson) out.note(out.dim(`${node} is up, run by ${entry.supervisor.kind}; stop it with beckon down, its log is ${host.logPath()}`));
  return exitOk;
}

/**
 * Starts this program again as a process of its own, and resolves when it is ready; with undefined when the person left
 * before. @throws BrokerError what it failed with
 */
export async function launch({ host, out }: Context, flags: readonly string[], stdin: string): Promise<{ line: string; node: string } | undefined> {
  const child = await host.node.spawn(['up', '--json', ...flags], stdin);
  let isLeft = false;
  let leave: (() => void) | undefined;
  const left = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
  });
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => {
    isLeft = true;
    leave?.();
  });
  try {
    const line = await Promise.race([firstLine(child.stdout), left]);
    child.release();
    if (isLeft) {
      out.note('the node goes on starting; see beckon status');
      return undefined;
    }
    const document = parse(line ?? '');
    if (isReady(document)) return { line: line ?? '', node: document.node };
    const error = errorOf(document);
    if (error !== undefined) throw error;
    const code = (await within(host.clock, lastWordsMs, child.exited)) ?? null;
    throw new BrokerError('internal', `the node ended before it was ready${code === null ? '' : `, with ${code}`}`, {
      hint: `its last words are in ${host.stderrPath()}`,
    });
  } finally {
    release();
  }
}

async function readToken({ host }: Context): Promise<string> {
  if (host.tty.stdin) throw invalid('--join - reads the token from stdin, and that is this terminal', 'give it so: beckon up --join - < token');
  const token = (await readText(host.stdin, longestToken)).trim();
  if (token === '') throw invalid('there is no token on stdin', 'make one on the other machine: beckon mesh invite');
  return token;
}

function flagsOf(given: GivenFlags): string[] {
  return [
    ...(given.name === undefined ? [] : [`${nameFlag}${given.name}`]),
    ...(given.listen ?? []).map((each) => `--listen=${each}`),
    ...(given.seeds ?? []).map((each) => `--seed=${each}`),
    ...(given.tailscale === undefined ? [] : [`--tailscale=${given.tailscale}`]),
    ...(given.gossipListen === undefined ? [] : [`--gossip-listen=${given.gossipListen}`]),
    ...(given.metrics === undefined ? [] : [`--metrics=${given.metrics}`]),
    // Not as an argument: every user of the machine can read those.
    ...(given.join === undefined ? [] : ['--join=-']),
  ];
}

function pick<Key extends keyof GivenFlags>(key: Key, value: GivenFlags[Key] | undefined): Partial<GivenFlags> {
  return value === undefined ? {} : { [key]: value };
}

function ready({ node, nodeId, listen, gossipListen, socket }: Ready): object {
  return { node, nodeId, listen, gossipListen, socket };
}

/** The first line, or all there is when the stream ends without one. */
async function firstLine(chunks: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) {
    text += chunk;
    const end = text.indexOf('\n');
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function isReady(document: unknown): document is { node: string } {
  return typeof document === 'object' && document !== null && 'type' in document && document.type === 'ready' && 'node' in document;
}

function errorOf(document: unknown): BrokerError | undefined {
  if (typeof document !== 'object' || document === null || !('error' in document)) return undefined;
  const { error } = document;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return internal('the node failed without saying why');
  const { code, message } = error;
  const hint = 'hint' in error && typeof error.hint === 'string' ? { hint: error.hint } : {};
  return fromInfo({ code: String(code), message: String(message), ...hint });
}
