/** agent scan: what projects are on this machine, and which of them may be called. Nothing may without a yes. */
import type { Command } from 'commander';
import { resolve as absolute } from 'node:path';
import type { ApproveResult, NodeClient, ScannedProject, ScanResult } from '../client/types.ts';
import { conflict, invalid, notFound } from '../domain/errors.ts';
import { neutralise } from '../domain/text.ts';
import { Asking } from './ask.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { examples, flag, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';

const nothing: ApproveResult = { added: [], removed: [] };

export function defineScan(program: Command, on: Register): void {
  const agent = program.commands.find((each) => each.name() === 'agent') ?? program.command('agent');
  on(
    agent
      .command('scan')
      .argument('[dir...]', 'where to look; without it, the roots of the config file, or the project of this directory')
      .description('Show the projects of this machine, and what could be called of them; asks before any of it is. Works while the node is down, too.')
      .option('--yes', 'say yes to all that is shown')
      .option('--only <name>', 'with --yes: to this one alone')
      .option('--forget <root>', 'take the yes to a project back: its agents are unlisted')
      .addHelpText('after', examples('beckon agent scan', 'beckon agent scan ~/src', 'beckon agent scan ~/src --yes --only shop', 'beckon agent scan --forget ~/src/shop')),
    scan,
  );
}

async function scan(context: Context, directories: readonly string[], options: OptionValues): Promise<number> {
  const [only, forgotten] = [text(options, 'only'), text(options, 'forget')];
  if (only !== undefined && !flag(options, 'yes')) throw invalid('--only says what --yes is for', 'add --yes');
  if (forgotten !== undefined && (flag(options, 'yes') || directories.length > 0)) throw invalid('--forget stands alone');
  return withNode(context, (client) => (forgotten === undefined ? look(context, client, directories, options) : forget(context, client, forgotten)), { offline: true });
}

async function forget({ out, host }: Context, client: NodeClient, root: string): Promise<number> {
  const { heldFailed, ...forgotten } = await client.forgetProject(absolute(host.cwd, root));
  if (out.isJson) {
    await out.json({ ...forgotten, heldFailed });
    return exitOk;
  }
  for (const address of forgotten.removed) await out.line(`${address} is unlisted`);
  out.note(`${neutralise(forgotten.root)} is forgotten`);
  if (heldFailed > 0) out.note(`${heldFailed} held ${heldFailed === 1 ? 'invocation' : 'invocations'} failed with agent_offline`);
  return exitOk;
}

async function look(context: Context, client: NodeClient, directories: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  const path = host.env['PATH'] ?? '';
  const asked = { directories: directories.map((each) => absolute(host.cwd, each)), cwd: host.cwd, path };
  const found = await client.scanProjects(asked);
  const only = text(options, 'only');
  const approve = async (projects: readonly ScannedProject[]): Promise<ApproveResult> =>
    projects.length === 0 ? nothing : client.approveProjects({ approvals: projects.map(({ root, fingerprint }) => ({ root, fingerprint })), path });
  if (!out.isJson) await show(context, found);
  const open = found.projects.filter(isOpen);
  const mayAsk = host.tty.stdin && !out.isJson && !flag(options, 'yes');
  const changes = flag(options, 'yes') ? await approve(only === undefined ? open : [theOne(found, only)]) : mayAsk ? await ask(context, open, approve) : nothing;
  if (out.isJson) {
    const now = changes === nothing ? found : await client.scanProjects(asked);
    await out.json({ projects: now.projects.map(projectDocument), ...changes, notes: now.notes });
    return exitOk;
  }
  for (const address of changes.added) await out.line(`${out.colours.green('+')} ${address}`);
  for (const address of changes.removed) await out.line(`${out.colours.red('-')} ${address}`);
  if (changes.added.length > 0) out.note('they can be called while this node is up, and worktrees that come later, too');
  else if (open.length > 0 && !flag(options, 'yes') && !mayAsk) out.note('nothing was changed: say yes in a terminal, or with --yes');
  return exitOk;
}

/** What a yes would change. */
function isOpen({ state }: ScannedProject): boolean {
  return state === 'new' || state === 'changed';
}

function theOne({ projects }: ScanResult, name: string): ScannedProject {
  const named = projects.filter((each) => each.name === name.replace(/^@/, ''));
  const project = named.find(isOpen) ?? named[0];
  if (project === undefined) throw notFound(`no project here is called ${neutralise(name)}`, projects.length === 0 ? undefined : `there are: ${projects.map((each) => each.name).join(', ')}`);
  if (project.state === 'refused') throw conflict(`${project.root}: ${project.problem ?? 'it can’t be approved'}`);
  if (project.state === 'ignored') throw conflict(`${project.root} is ignored, by the config file`);
  return project;
}

/** What is said yes to is in force at once, so that leaving off keeps it. */
async function ask(context: Context, open: readonly ScannedProject[], approve: (projects: readonly ScannedProject[]) => Promise<ApproveResult>): Promise<ApproveResult> {
  if (open.length === 0) return nothing;
  const [added, removed]: [string[], string[]] = [[], []];
  using asking = new Asking(context, 'beckon agent scan');
  let isAll = false;
  for (const project of open) {
    const what = project.state === 'changed' ? `Take what ${project.name} says now` : `Let ${project.name} be called by your other nodes`;
    const answer: 'y' | 'n' | 'all' = isAll ? 'y' : await asking.choice(neutralise(`${what}?`), ['y', 'n', 'all'], 'n');
    if (answer === 'n') continue;
    isAll ||= answer === 'all';
    const changes = await approve([project]);
    added.push(...changes.added);
    removed.push(...changes.removed);
  }
  return { added, removed };
}

async function show({ out }: Context, { projects, notes }: ScanResult): Promise<void> {
  const { bold, dim, green, yellow, red } = out.colours;
  const paint = { new: yellow, approved: green, changed: yellow, refused: red, ignored: dim } as const;
  for (const project of projects) {
    const { name, root, state, harness, command, permissions, isolate, env, visibility, why, description, capabilities, labels, defaultWorkspace = '', problem, instances } = project;
    await out.line(`${bold(`@${name}`)}  ${paint[state](state)}  ${neutralise(root)}`);
    const may = harness === 'command' ? 'does what its command does' : mayDo[permissions];
    const facts: [string, string][] = [
      ['runs', [harness, command.map(word).join(' ')].filter((each) => each !== '').join(': ')],
      ['doing', harness === '' ? '' : [may, ...(isolate ? ['in a git worktree of its own each time'] : []), ...(visibility === 'node' ? ['callable on this machine only'] : [])].join('; ')],
      ['gets', env.map(word).join(' ')],
      ['says', description],
      ['can', capabilities.join(', ')],
      ['labelled', Object.entries(labels).map(([key, value]) => word(`${key}=${value}`)).join(' ')],
      ['by default', defaultWorkspace],
      ['because of', why.join(', ')],
      ['but', problem ?? ''],
    ];
    for (const [label, fact] of state === 'ignored' ? [] : facts) if (fact !== '') await out.line(`  ${dim(label.padEnd(10))}  ${oneLine(fact)}`);
    for (const { address, cwd, registered, problem: whyNot } of instances) {
      const isOpenTo = state === 'new' || state === 'changed' ? 'would be callable' : 'is not callable yet';
      const standing = whyNot === undefined ? (registered ? green('is callable') : isOpenTo) : red(`not callable: ${neutralise(whyNot)}`);
      await out.line(`  ${address === '' ? '(no address)' : address}  ${dim(neutralise(cwd))}  ${standing}`);
    }
  }
  if (projects.length === 0) out.note('no project was found: name a directory, or put roots = ["~/src"] into the config file');
  for (const note of notes) out.note(out.dim(neutralise(note)));
}

const mayDo = { ask: 'asks before it changes anything', edit: 'edits files without asking', full: 'does anything without asking' } as const;

/** Harmless, with the ends of lines to be seen: behind one a shell's comment ends. */
function oneLine(fact: string): string {
  return neutralise(fact).replaceAll('\n', '\u240a').replaceAll('\t', '\u2409');
}

/** A word as a shell would take it. */
function word(given: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(given) ? given : `'${given.replaceAll("'", "'\\''")}'`;
}

/** The contract's keys first. */
function projectDocument({ root, name, why, harness, command, permissions, state, problem, instances, ...rest }: ScannedProject): object {
  return { root, name, why, harness, command, permissions, state, ...(problem === undefined ? {} : { problem }), instances, ...rest };
}
