/** service install, uninstall, status: this machine's node as systemd or launchd runs it. */
import type { Command } from 'commander';
import { BrokerError, conflict } from '../domain/errors.ts';
import type { Entry, EntryPlan } from '../domain/supervision-port.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { stopIfRunning } from './down.ts';
import { refuseInFlight } from './in-flight.ts';
import { exitOk, exitStillGoing } from './exit.ts';
import { duration, examples, flag, number, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { contextOf, nodeStatus, requireChange, startSupervised } from './supervised.ts';
import { facts } from './table.ts';

export function defineSupervision(program: Command, on: Register): void {
  const service = program
    .command('service')
    .description("Have systemd or launchd run this machine's node: at boot, and again when it was killed.")
    .addHelpText('after', examples('beckon service install', 'beckon service status', 'sudo beckon service install --system'));
  on(
    service
      .command('install')
      .description('Run the node as a service, with PATH and what agents need as this shell has it. Again, it brings up to date what changed.')
      .option('--system', 'of the machine, from boot on, running as the user who calls sudo; without it, of this user')
      .option('--user <name>', 'with --system: run it as this user')
      .option('--dry-run', 'print the unit or property list, and do nothing')
      .addHelpText('after', examples('beckon service install', 'beckon service install --dry-run', 'sudo beckon service install --system')),
    install,
  );
  on(
    service
      .command('uninstall')
      .description('Stop the service as beckon down does, and remove it. All that the node has stored stays.')
      .option('--user <name>', 'for root: that of this user')
      .option('--force', 'end what runs; its flights become indeterminate')
      .addOption(duration('--timeout <duration>', 'wait so long for what runs here (60s by default)'))
      .addHelpText('after', examples('beckon service uninstall', 'sudo beckon service uninstall')),
    uninstall,
  );
  on(
    service
      .command('status')
      .description('Show whether it is installed, starts by itself, and runs the node of this machine.')
      .option('--user <name>', 'for root: that of this user')
      .addHelpText('after', examples('beckon service status', 'beckon service status --json')),
    status,
  );
}

async function install(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  refuseInFlight(context, noServices);
  const scope = flag(options, 'system') ? 'system' : 'user';
  const user = text(options, 'user');
  const supervision = await host.supervision();
  const planned = await supervision.plan({ scope, ...(user === undefined ? {} : { user }), asked: await askedByAgents(context) });
  if (flag(options, 'dryRun')) return await show(context, planned);
  const { supervisor } = planned;
  if (planned.entry === 'other') {
    const whose = planned.otherOwner === undefined ? 'Beckon did not write it' : `it runs the node of ${planned.otherOwner}`;
    throw conflict(`${supervisor.entryPath} is there already: ${whose}`, planned.otherOwner === undefined ? 'move it away' : 'uninstall that one first, with its BECKON_HOME');
  }
  const already = await supervision.installed(user);
  if (already !== undefined && already.supervisor.scope !== scope) throw conflict(`it is installed already, as a unit of ${already.supervisor.scope === 'user' ? 'this user' : 'the machine'}: ${already.supervisor.entryPath}`, 'first: beckon service uninstall');
  const before = await supervisor.look();
  await supervision.write(planned);
  const isChanged = planned.entry !== 'same' || planned.environment !== 'same' || !before.isEnabled;
  if (isChanged) {
    await supervisor.enable().catch(async (thrown: unknown) => {
      // A unit that nobody has read would be half an installation.
      if (planned.entry === 'absent') await supervision.remove(planned);
      throw thrown;
    });
  }
  const pid = await running(context, planned, isChanged);
  if (out.isJson) {
    const { entry, environment, variables, notes } = planned;
    await out.json({ ...where(planned), entry, environment, variables, changed: isChanged, ...(await lasting(planned)), ...pid, notes });
  } else if (!isChanged) await out.line('it is installed already, and nothing has changed');
  else await out.line(`${planned.entry === 'absent' ? 'installed' : 'brought up to date'}: ${supervisor.entryPath}`);
  if (!out.isJson) await tellInstalled(context, planned, pid);
  return pid.pid === undefined ? exitStillGoing : exitOk;
}

interface Running {
  /** Of the node, whoever runs it. */
  readonly pid?: number;
  readonly bySupervisor: boolean;
  /** A restart would change something. */
  readonly restart: boolean;
}

/** A node that runs already is left at work. */
async function running(context: Context, entry: Entry, isChanged: boolean): Promise<Running> {
  const there = contextOf(context, entry);
  const status = await nodeStatus(there);
  const { pid } = await entry.supervisor.look();
  if (status !== undefined) return { pid: status.pid, bySupervisor: status.pid === pid, restart: status.pid !== pid || isChanged };
  const started = await startSupervised(context, entry);
  return { ...(started === undefined ? {} : { pid: started.pid }), bySupervisor: true, restart: false };
}

async function tellInstalled(context: Context, planned: EntryPlan, { pid, bySupervisor, restart }: Running): Promise<void> {
  const { out } = context;
  const { supervisor, variables, notes, user } = planned;
  out.note(out.dim(`captured in ${supervisor.environmentPath}: ${variables.join(', ')}`));
  for (const note of notes) out.note(out.dim(note));
  if (pid === undefined) out.note('the node goes on starting; see beckon service status');
  else if (!bySupervisor) out.note(`a node runs already, as process ${pid}, by hand; to hand it over: beckon restart`);
  else if (restart) out.note('the node runs as it was started; what changed is in force after: beckon restart');
  else out.note(`the node runs, as process ${pid}`);
  if ((await supervisor.outlivesLogout(user)) === false) out.note(`${out.noteColours.cyan('hint:')} it starts when you log in and ends when you have logged out; to have it from boot on: ${lingerCommand(user)}`);
}

function lingerCommand(user: string): string {
  return `loginctl enable-linger ${user}`;
}

/** The names that agents of this node were added with; without a node to ask, and as another user, none. */
async function askedByAgents(context: Context): Promise<readonly string[]> {
  try {
    return await withNode(context, async (client) => {
      const { name } = await client.status();
      const { items } = await client.listAgents({ node: name }, { limit: 1000 });
      const views = await Promise.all(items.map(({ registration }) => client.getAgent(registration.address)));
      return views.flatMap(({ endpoint }) => endpoint?.env ?? []).filter((each) => !each.includes('='));
    });
  } catch (thrown) {
    if (thrown instanceof BrokerError) return [];
    throw thrown;
  }
}

async function show({ out }: Context, planned: EntryPlan): Promise<number> {
  if (out.isJson) {
    const { entry, environment, variables, notes, entryText } = planned;
    await out.json({ ...where(planned), entry, environment, variables, notes, text: entryText });
    return exitOk;
  }
  await out.write(planned.entryText);
  out.note(out.dim(`nothing was done; it would be ${planned.supervisor.entryPath}`));
  out.note(out.dim(`captured in ${planned.supervisor.environmentPath}: ${planned.variables.join(', ')}`));
  for (const note of planned.notes) out.note(out.dim(note));
  return exitOk;
}

function where({ supervisor: { kind, scope, entryPath, environmentPath }, user }: Entry): object {
  return { supervisor: kind, scope, user, path: entryPath, environmentFile: environmentPath };
}

async function lasting({ supervisor, user }: Entry): Promise<{ lingering?: boolean }> {
  const lingering = await supervisor.outlivesLogout(user);
  return lingering === undefined ? {} : { lingering };
}

async function uninstall(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  refuseInFlight(context, noServices);
  const entry = await (await host.supervision()).installed(text(options, 'user'));
  if (entry === undefined) {
    if (out.isJson) await out.json({ removed: [] });
    else await out.line('no service of this node is installed');
    return exitOk;
  }
  requireChange(entry, 'beckon service uninstall');
  const code = await endSupervised(context, entry, { force: flag(options, 'force'), timeoutMs: number(options, 'timeout') });
  if (code !== exitOk) {
    if (!out.isJson) out.note('nothing was removed: again when it has stopped, or with --force');
    return code;
  }
  const removed = await removeEntry(context, entry);
  if (out.isJson) await out.json({ removed });
  else {
    for (const path of removed) await out.line(`removed ${path}`);
    out.note(out.dim(`what the node has stored stays: ${entry.stateDir}`));
  }
  return exitOk;
}

/** Drains the node that the supervisor runs; another is none of its business. */
async function endSupervised(context: Context, entry: Entry, options: { readonly force: boolean; readonly timeoutMs?: number | undefined }): Promise<number> {
  const { pid } = await entry.supervisor.look();
  const there = contextOf(context, entry);
  const status = pid === undefined ? undefined : await nodeStatus(there);
  return status !== undefined && status.pid === pid ? await stopIfRunning(there, options) : exitOk;
}

/** @returns the paths that are gone now */
export async function removeEntry({ host }: Context, entry: Entry): Promise<readonly string[]> {
  const { supervisor } = entry;
  await supervisor.stop();
  await supervisor.disable();
  const removed = await (await host.supervision()).remove(entry);
  await supervisor.forget();
  return removed;
}

async function status(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const supervision = await host.supervision();
  const entry = await supervision.installed(text(options, 'user'));
  const node = await nodeStatus(entry === undefined ? context : contextOf(context, entry));
  if (entry === undefined) {
    if (out.isJson) await out.json({ installed: false, node: node === undefined ? null : { pid: node.pid } });
    else {
      await out.line('not installed: beckon service install');
      if (node !== undefined) out.note(`a node runs, as process ${node.pid}, by hand`);
    }
    return exitOk;
  }
  const now = await entry.supervisor.look();
  const isCurrent = await supervision.isCurrent(entry);
  const { lingering } = await lasting(entry);
  const runsNode = node !== undefined && node.pid === now.pid;
  if (out.isJson) {
    const { state, isEnabled: enabled, pid, why } = now;
    await out.json({ installed: true, ...where(entry), enabled, ...(lingering === undefined ? {} : { lingering }), state, ...(pid === undefined ? {} : { pid }), ...(why === undefined ? {} : { why }), node: node === undefined ? null : { pid: node.pid }, runsNode, current: isCurrent });
    return exitOk;
  }
  const { supervisor, user } = entry;
  const whenLogged = lingering === false ? `at login only; from boot on with: ${lingerCommand(user)}` : supervisor.kind === 'launchd' ? 'at login' : 'at boot';
  await facts(out, [
    ['service', `${supervisor.kind} ${supervisor.kind === 'systemd' ? 'unit' : 'agent'} of ${supervisor.scope === 'user' ? 'this user' : `the machine, as ${user}`}`],
    ['file', supervisor.entryPath],
    ['environment', supervisor.environmentPath],
    ['starts', now.isEnabled ? whenLogged : 'not by itself: beckon service install'],
    ['state', `${now.state}${now.pid === undefined ? '' : `, process ${now.pid}`}${now.why === undefined ? '' : `: ${now.why}`}`],
    ['node', nodeWords(node?.pid, now.pid)],
    ['up to date', isCurrent ? 'yes' : 'no, this version or its place differs: beckon service install, then beckon restart'],
  ]);
  return exitOk;
}

function nodeWords(pid: number | undefined, supervised: number | undefined): string {
  if (pid === undefined) return supervised === undefined ? 'none runs: beckon up --detach' : 'does not answer yet';
  return pid === supervised ? 'it is this one' : `runs as process ${pid}, by hand; to hand it over: beckon restart`;
}

/** What starts at every boot is a person's to decide. */
const noServices = 'installs and removes no services';
