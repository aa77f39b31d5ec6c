/** One agent: agent add, rm, show; resolve. */
import type { Command } from 'commander';
import { resolve as absolute } from 'node:path';
import { parseAddress, shellAddress } from '../domain/address.ts';
import { formatDuration } from '../domain/duration.ts';
import { fromInfo, invalid } from '../domain/errors.ts';
import { permissions } from '../domain/invocation.ts';
import type { Permissions } from '../domain/invocation.ts';
import { parseName } from '../domain/name.ts';
import { mostQueued, usualQueueLimit } from '../domain/queue-share.ts';
import { visibilities } from '../domain/registration.ts';
import { mostConcurrency } from '../domain/serving-port.ts';
import type { Visibility } from '../domain/registration.ts';
import { quoted } from '../domain/text.ts';
import { decodeWorkspace, encodeWorkspace, readWorkspace } from '../domain/workspace.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOfError, exitOk } from './exit.ts';
import { agentDocument, errorDocument } from './json.ts';
import { loadText } from './load.ts';
import { checkAddress, checkLabel, choice, examples, flag, labelsOf, list, number, parsed, repeated, text, wholeNumber } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { addSelectors, selectorOf } from './selector.ts';
import { relativeTime } from './output.ts';
import { defineSharing, sharesInWords } from './sharing.ts';
import { facts, table } from './table.ts';

const harnesses = ['command', 'acp', 'attached', 'claude', 'codex', 'gemini', 'opencode'];

export function defineAgents(program: Command, on: Register): void {
  const agent = program.command('agent').description('Agents of this machine.').addHelpText('after', examples('beckon agent add -- ./agent.sh', 'beckon agent rm fabric'));
  on(
    agent
      .command('add')
      .argument('[name]', 'what to call it; without it, the name of the project directory')
      .usage('[name] [options] [-- CMD...]')
      .description('Make an agent callable. Works while the node is down, too.')
      .addOption(parsed('--workspace <w>', 'a label; without it, the git branch of --cwd', workspaceOf))
      .addOption(choice('--harness <h>', 'how it is run', harnesses))
      .option('--cwd <dir>', 'where it works; without it, here')
      .addOption(choice('--permissions <p>', 'what it may do without asking', permissions))
      .option('--isolate', 'give each flight its own git worktree')
      .addOption(parsed('--concurrency <n>', 'how many of its runs go on at once', wholeNumber(1, mostConcurrency)))
      .addOption(parsed('--queue <n>', `how many may wait for it (${usualQueueLimit} by default)`, wholeNumber(1, mostQueued)))
      .option('--default', 'the instance that an address without a workspace means')
      .addOption(repeated('--env <name[=value]>', 'a variable for it: of the node, or with this value', checkEnv))
      .addOption(repeated('--label <k=v>', 'a label to find it by', checkLabel))
      .addOption(repeated('--cap <c>', 'something it can do', parseName))
      .addOption(choice('--visibility <v>', 'who sees it', visibilities))
      .addHelpText(
        'after',
        examples('beckon agent add -- ./agent.sh', 'beckon agent add fabric --cwd ~/src/fabric --default --harness claude', 'beckon agent add tests --label team=web -- sh -c "npm test"'),
      ),
    add,
  );
  on(
    agent
      .command('rm')
      .argument('<address>')
      .description('Unlist an agent at once: held work fails, running work finishes.')
      .addHelpText('after', examples('beckon agent rm fabric')),
    remove,
  );
  defineSharing(agent, on);
  on(agent.command('show').argument('<address>').description('Show one agent.').addHelpText('after', examples('beckon agent show fabric@laptop/main')), show);
  on(
    addSelectors(
      program
        .command('resolve')
        .argument('<address>', 'or . for the agent of this directory')
        .description('Show which agent an address means.')
        .option('--explain', 'each candidate and why it was chosen or passed over'),
      { all: true },
    ).addHelpText('after', examples('beckon resolve fabric', 'beckon resolve fabric --explain')),
    resolve,
  );
}

async function add(context: Context, args: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  const name = args[0] === undefined ? undefined : parseName(args[0]);
  const workspace = text(options, 'workspace');
  const harness = text(options, 'harness');
  const [concurrency, queue] = [number(options, 'concurrency'), number(options, 'queue')];
  const spec = {
    ...(name === undefined ? {} : { name }),
    ...(workspace === undefined ? {} : { workspace }),
    ...(harness === undefined ? {} : { harness }),
    cwd: absolute(host.cwd, text(options, 'cwd') ?? '.'),
    permissions: (text(options, 'permissions') ?? 'ask') as Permissions,
    isolate: flag(options, 'isolate'),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(queue === undefined ? {} : { queue }),
    isDefault: flag(options, 'default'),
    env: list(options, 'env'),
    labels: labelsOf(list(options, 'label')),
    capabilities: list(options, 'cap'),
    visibility: (text(options, 'visibility') ?? 'mesh') as Visibility,
    argv: context.behindDashes,
    path: host.env['PATH'] ?? '',
    description: '',
  };
  const { agent, added } = await withNode(context, (client) => client.addAgent(spec), { offline: true });
  const { registration } = agent;
  if (out.isJson) {
    await out.json({ agent: agentDocument(agent), added });
    return exitOk;
  }
  await out.line(registration.address);
  if (!registration.available) out.note(`${out.noteColours.yellow('warning:')} it can't be called yet: ${registration.unavailableWhy ?? 'it is not available'}`);
  if (!added) out.note(out.dim('it was there already'));
  out.note(out.dim(`call it: beckon invoke ${shellAddress(parseAddress(registration.address))} "…"`));
  return exitOk;
}

async function remove(context: Context, [address = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkAddress(address);
  const removed = await withNode(context, (client) => client.removeAgent(address));
  if (out.isJson) await out.json(removed);
  else {
    await out.line(`${removed.address} is unlisted`);
    if (removed.heldFailed > 0) out.note(`${removed.heldFailed} held ${removed.heldFailed === 1 ? 'invocation' : 'invocations'} failed with agent_offline`);
  }
  return exitOk;
}

async function show(context: Context, [address = '']: readonly string[]): Promise<number> {
  const { out, host } = context;
  checkAddress(address);
  const view = await withNode(context, (client) => client.getAgent(address));
  if (out.isJson) {
    await out.json({ agent: agentDocument(view) });
    return exitOk;
  }
  const { registration, endpoint } = view;
  await facts(out, [
    ['address', registration.address],
    ['node', `${view.nodeName} (${view.state})`],
    ['owner', view.owner],
    ['harness', registration.harness],
    ['load', loadText(view)],
    ['available', registration.available ? 'yes' : `no: ${registration.unavailableWhy ?? 'unknown'}`],
    ['default', registration.isDefault ? 'yes' : 'no'],
    ['visibility', registration.visibility],
    ['capabilities', registration.capabilities.join(', ')],
    ['labels', Object.entries(registration.labels).map(([key, value]) => `${key}=${value}`).join(', ')],
    ['description', registration.description],
    ['note', view.note],
    ['last seen', view.lastSeenMs === undefined ? undefined : relativeTime(view.lastSeenMs, host.clock.now(), formatDuration)],
    ['directory', endpoint?.cwd],
    ['command', endpoint?.argv.map(shellWord).join(' ')],
    ['shared with', view.shares === undefined ? undefined : sharesInWords(view.shares)],
    ['permissions', endpoint?.permissions],
    ['runs at once', endpoint?.concurrency?.toString()],
    ['queue holds', endpoint?.queue?.toString()],
    ['isolate', endpoint === undefined ? undefined : endpoint.isolate ? 'yes' : 'no'],
  ]);
  return exitOk;
}

async function resolve(context: Context, [address = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  checkAddress(address);
  const result = await withNode(context, (client) => client.resolve(selectorOf(context, address, options)));
  const { targets, candidates, error } = result;
  if (out.isJson) {
    const [target] = targets;
    await out.json({
      ...(target === undefined ? {} : { target }),
      ...(targets.length > 1 ? { targets } : {}),
      candidates,
      ...(error === undefined ? {} : { error: errorDocument(error) }),
    });
    return error === undefined ? exitOk : exitOfError(error.code);
  }
  for (const target of targets) await out.line(target);
  if (flag(options, 'explain')) {
    await table(
      out,
      ['candidate', 'chosen', 'why'],
      candidates.map((each) => [each.address, paintState(out.colours, each.chosen ? 'yes' : 'no'), each.why]),
    );
  }
  if (error !== undefined) throw fromInfo(error);
  return exitOk;
}

/** Its raw name, as of a branch, whether it was given so or in the spelling of addresses. */
function workspaceOf(given: string): string {
  const read = readWorkspace(given);
  return decodeWorkspace('workspace' in read ? read.workspace : encodeWorkspace(given));
}

const variable = /^[A-Za-z_][A-Za-z0-9_]*(=|$)/;

function checkEnv(given: string): string {
  if (variable.test(given)) return given;
  throw invalid(`${quoted(given)} is not NAME or NAME=VALUE`);
}

/** A word as a shell would take it. */
function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
