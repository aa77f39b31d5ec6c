/** `uninstall`: all of Beckon's off this machine, each path said first. */
import type { Command } from 'commander';
import { BrokerError, conflict, denied } from '../domain/errors.ts';
import type { Belongings } from '../domain/belongings.ts';
import type { Entry } from '../domain/supervision-port.ts';
import { neutralise } from '../domain/text.ts';
import { Asking } from './ask.ts';
import type { Context } from './context.ts';
import { refuseInFlight } from './in-flight.ts';
import { stopIfRunning } from './down.ts';
import { exitOfError, exitOk } from './exit.ts';
import { examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { nodeStatus, requireChange } from './supervised.ts';
import { removeEntry } from './supervision.ts';
import { sizeOf } from './size.ts';
import { table } from './table.ts';

export function defineUninstall(program: Command, on: Register): void {
  on(
    program
      .command('uninstall')
      .description('Remove all that the node of this machine has here: service, store, keys, logs, config. It says each path, and asks.')
      .option('--yes', 'ask nothing')
      .option('--force', 'stop a node that runs, and end what it runs')
      .addHelpText('after', examples('beckon uninstall', 'beckon mesh leave && beckon down && beckon uninstall --yes', 'beckon uninstall --json')),
    uninstall,
  );
}

async function uninstall(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  refuseInFlight(context, 'does not uninstall its node');
  if ((host.env['SUDO_USER'] ?? '') !== '') throw denied('by sudo it would look for what root has', 'give it without sudo; a service of the machine goes first: sudo beckon service uninstall');
  const isConfirmed = flag(options, 'yes');
  const supervision = await host.supervision();
  const entry = await supervision.installed();
  if (entry !== undefined) requireChange(entry, 'beckon service uninstall, and then beckon uninstall');
  const running = await nodeStatus(context);
  const belongings = await host.belongings.find();
  const service = entry === undefined ? [] : await supervision.filesOf(entry);
  const rest = belongings.found.filter(({ path }) => !service.includes(path));
  if (rest.length === 0 && service.length === 0) {
    if (out.isJson) await out.json({ removed: [], left: belongings.left });
    else await out.line('nothing of Beckon is here');
    return exitOk;
  }
  const plan = { service, rest, belongings: { ...belongings, ...(running?.mesh === undefined ? {} : { mesh: running.mesh.name }) } };
  if (!out.isJson) await show(context, plan);
  if (running !== undefined && !flag(options, 'force')) throw conflict(`a node runs here, as process ${running.pid}`, 'nothing was done; first: beckon down, or --force, which ends what runs');
  if (!isConfirmed && (out.isJson || !host.tty.stdin)) {
    if (out.isJson) await out.json({ removed: [], wouldRemove: [...service.map((path) => ({ what: 'service', path })), ...rest], ...restOf(plan.belongings) });
    else out.note('nothing was done: say --yes, or run it in a terminal, where it can ask');
    return exitOfError('invalid');
  }
  if (!isConfirmed && !(await isAgreed(context))) throw new BrokerError('cancelled', 'nothing was done');
  const code = running === undefined ? exitOk : await stopIfRunning(context, { force: true });
  if (code !== exitOk) return code;
  const removed = await removeAll(context, entry, { ...belongings, found: rest });
  if (out.isJson) await out.json({ removed, ...restOf(plan.belongings) });
  else out.note(`removed; the program itself is still there${belongings.left.length === 0 ? '' : `, and so is what is not Beckon’s`}`);
  return exitOk;
}

async function removeAll(context: Context, entry: Entry | undefined, belongings: Belongings): Promise<readonly string[]> {
  const service = entry === undefined ? [] : await removeEntry(context, entry);
  return [...service, ...(await context.host.belongings.remove(belongings))];
}

function restOf({ left, worktrees, mesh }: Belongings): object {
  return { left, worktrees, ...(mesh === undefined ? {} : { mesh }) };
}

interface Plan {
  readonly service: readonly string[];
  readonly rest: Belongings['found'];
  readonly belongings: Belongings;
}

async function show({ out }: Context, { service, rest, belongings: { left, worktrees, mesh } }: Plan): Promise<void> {
  const { yellow, cyan } = out.noteColours;
  await table(out, ['what', 'size', 'path'], [...service.map((path) => ['service', '', path]), ...rest.map(({ what, bytes, path }) => [what, sizeOf(bytes), path])]);
  if (left.length > 0) out.note(neutralise(`stays, since it is not known here: ${left.join(', ')}`));
  if (worktrees.length > 0) out.note(`${yellow('warning:')} ${worktrees.length} ${worktrees.length === 1 ? 'worktree has' : 'worktrees have'} work of flights that was neither fetched nor discarded: beckon flight fetch or discard ID; afterwards, in their repositories: git worktree prune`);
  if (mesh === undefined) return;
  out.note(neutralise(`${yellow('warning:')} this machine is a member of ${mesh}: the others would take it for unreachable for ever, and its keys can’t be had again`));
  out.note(`${cyan('hint:')} beckon mesh leave first (the node must run), or afterwards on another machine: beckon mesh remove`);
}

async function isAgreed(context: Context): Promise<boolean> {
  using asking = new Asking(context, 'beckon uninstall');
  return await asking.yes('Remove all of this?');
}
