/** The node itself: up, down, restart, status, version. */
import type { Command } from 'commander';
import type { NodeStatus } from '../client/types.ts';
import { formatHostPort, gossipPort, meshPort, metricsPort, parseHostPort } from '../domain/host-port.ts';
import { parseName } from '../domain/name.ts';
import { formatDuration } from '../domain/duration.ts';
import { invalid } from '../domain/errors.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { statusDocument } from './json.ts';
import { contextOf, nodeStatus, requireChange } from './supervised.ts';
import { duration, examples, flag, number, parsed, repeated } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { localTime } from './output.ts';
import { facts } from './table.ts';

const checkGossip = (given: string): string => (given === 'auto' || given === 'off' ? given : formatHostPort(parseHostPort(given, gossipPort)));
const checkMetrics = (given: string): string => (given === 'off' ? given : formatHostPort(parseHostPort(given, metricsPort)));
const checkHostPort = (given: string): string => formatHostPort(parseHostPort(given, meshPort));

export function addUpOptions(command: Command): Command {
  return command
    .addOption(parsed('--name <name>', 'call this node so', parseName))
    .addOption(repeated('--listen <host:port>', 'listen there only', checkHostPort))
    .addOption(parsed('--gossip-listen <host:port>', 'listen there for gossip; auto, or off', checkGossip))
    .addOption(repeated('--seed <host:port>', 'where other nodes of the mesh may be; may be given again', checkHostPort))
    .option('--tailscale <how>', 'auto, off, or the socket of tailscaled')
    .addOption(parsed('--metrics <host:port>', 'tell Prometheus there, at /metrics; off: nowhere', checkMetrics));
}

export function defineNode(program: Command, on: Register): void {
  on(
    addUpOptions(program.command('up'))
      .description("Start this machine's node, in the foreground unless --detach. What is given is remembered.")
      .option('--join <token>', 'join a mesh with this invitation; - reads it from stdin')
      .option('--detach', 'return when it is ready, and leave it running')
      .addOption(duration('--drain <duration>', 'stopped by a signal, wait so long for what runs, then end it; without it as long as it takes'))
      .addHelpText('after', examples('beckon up --detach', 'beckon up --name laptop --listen 192.168.1.5:7423', 'beckon up --join - < token')),
    async (context, _args, options) => {
      const { up } = await import('./up.ts');
      return await up(context, options);
    },
  );
  on(
    program
      .command('down')
      .description('Stop the node: it takes no new work and waits for what runs here.')
      .option('--force', 'end what runs; its flights become indeterminate')
      .addOption(duration('--timeout <duration>', 'wait so long (60s by default); it goes on draining'))
      .addHelpText('after', examples('beckon down', 'beckon down --timeout 5m', 'beckon down --force')),
    async (context, _args, options) => {
      const { down } = await import('./down.ts');
      return await down(context, { force: flag(options, 'force'), timeoutMs: number(options, 'timeout') });
    },
  );
  on(
    program
      .command('restart')
      .description('Stop the node and start it again, detached, as it was started.')
      .option('--force', 'end what runs; its flights become indeterminate')
      .addOption(duration('--timeout <duration>', 'wait so long for what runs here (60s by default)'))
      .addHelpText('after', examples('beckon restart')),
    async (context, _args, options) => await restart(context, options),
  );
  on(
    program.command('status').description('Show the node, its mesh, its peers and flights.').addHelpText('after', examples('beckon status', 'beckon status --json')),
    status,
  );
  on(
    program.command('version').description('Print the version.').addHelpText('after', examples('beckon version --json')),
    async ({ host, out }) => {
      if (out.isJson) await out.json({ version: host.version });
      else await out.line(`beckon ${host.version}`);
      return exitOk;
    },
  );
}

function meshWords({ mesh, removed }: NodeStatus): string {
  if (removed !== undefined) return `none: removed from ${removed.meshName} by ${removed.by} on ${localTime(removed.atMs)}; to forget it: beckon mesh leave`;
  return mesh?.name ?? 'none: beckon mesh create, or beckon mesh join TOKEN';
}

async function restart(context: Context, options: OptionValues): Promise<number> {
  const { stopIfRunning } = await import('./down.ts');
  const { startDetached } = await import('./up.ts');
  const entry = await (await context.host.supervision()).installed();
  // Before anything is stopped that could not be started again.
  if (entry !== undefined) requireChange(entry, 'systemctl restart beckon');
  const there = entry === undefined ? context : contextOf(context, entry);
  if (there.host.socketPath() === context.host.socketPath() && (await nodeStatus(there)) !== undefined) await requireUnderstood(context);
  const code = await stopIfRunning(there, { force: flag(options, 'force'), timeoutMs: number(options, 'timeout') });
  return code === exitOk ? await startDetached(context, [], '') : code;
}

/** @throws BrokerError `invalid` for files that no node starts with */
async function requireUnderstood({ host }: Context): Promise<void> {
  const checks = await host.examine({ fix: false, isRunning: true });
  const flaw = checks.find(({ id, ok }) => !ok && (id === 'config' || id === 'policy'));
  if (flaw !== undefined) throw invalid(`nothing was stopped, since it could not be started again: ${flaw.detail}`, flaw.hint);
}

async function status(context: Context): Promise<number> {
  const { out } = context;
  const now = await withNode(context, (client) => client.status());
  if (out.isJson) {
    await out.json(statusDocument(now));
    return exitOk;
  }
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .filter(([, count]) => count > 0)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ') || 'none';
  await facts(out, [
    ['node', `${now.name}${now.draining ? ' (draining: takes no new work)' : ''}`],
    ['id', now.nodeId],
    ['owner', now.owner],
    ['mesh', meshWords(now)],
    ['listening', now.listen.join(', ') || 'nowhere'],
    ['up for', formatDuration(context.host.clock.now() - now.epoch)],
    ['version', `${now.version}, process ${now.pid}`],
    ['peers', counts(now.peers)],
    ['flights', counts(now.flights)],
    ...(now.refused === undefined ? [] : [['refused', `${now.refused}; if this machine is the copy: beckon doctor --fix`] as const]),
  ]);
  return exitOk;
}
