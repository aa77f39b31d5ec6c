/** The agents of all nodes, once or as they change: agents. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import { parseName, parseNodeRef } from '../domain/name.ts';
import type { AgentFilter, AgentView } from '../client/types.ts';
import { watchAgents } from './agent-watch.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { agentDocument } from './json.ts';
import { loadText } from './load.ts';
import { addPaging, checkLabel, examples, flag, labelsOf, list, pageOf, parsed, repeated, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { relativeTime } from './output.ts';
import { tableLines } from './table.ts';
import { neutralise } from '../domain/text.ts';

export function defineAgentList(program: Command, on: Register): void {
  on(
    addPaging(
      program
        .command('agents')
        .argument('[pattern]', 'only agents of this name, or of this address; * is any run of characters, ? is one')
        .description('List the agents of all nodes, and what is known of them.')
        .addOption(parsed('--node <node>', 'only those of this node', checkNode))
        .option('--harness <h>', 'only those that are run so')
        .addOption(repeated('--cap <c>', 'only those that can do this', parseName))
        .addOption(repeated('--label <k=v>', 'only those with this label', checkLabel))
        .option('--owner <person>', 'only those on nodes of this person')
        .option('--available', 'only those that can be called')
        .option('--watch', 'go on and show each change, until q or Ctrl-C; a JSON object a line where there is no terminal'),
    ).addHelpText('after', examples('beckon agents', "beckon agents 'review*' --available", 'beckon agents --node laptop --json', 'beckon agents --watch --label team=web')),
    agents,
  );
}

async function agents(context: Context, [pattern]: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const filter = filterOf(pattern, options);
  if (flag(options, 'watch')) return await watchAgents(context, filter, (found, columns) => linesOf(context, found, columns));
  const page = await withNode(context, (client) => client.listAgents(filter, pageOf(options)));
  if (out.isJson) {
    await out.json({ agents: page.items.map((view) => agentDocument(view)), ...(page.next === undefined ? {} : { next: page.next }) });
    return exitOk;
  }
  if (page.items.length === 0) out.note(nothing(filter));
  else for (const line of linesOf(context, page.items)) await out.line(line);
  for (const { registration, note } of page.items) if (note !== undefined) out.note(neutralise(`${registration.address}: ${note}`));
  if (page.next !== undefined) out.note(out.dim(`more: --after ${page.next}`));
  return exitOk;
}

function filterOf(pattern: string | undefined, options: OptionValues): AgentFilter {
  const [node, harness, owner] = [text(options, 'node'), text(options, 'harness'), text(options, 'owner')];
  return {
    ...(pattern === undefined ? {} : { pattern }),
    ...(node === undefined ? {} : { node }),
    ...(harness === undefined ? {} : { harness }),
    ...(owner === undefined ? {} : { owner }),
    capabilities: list(options, 'cap'),
    labels: labelsOf(list(options, 'label')),
    availableOnly: flag(options, 'available'),
  };
}

function nothing({ node, capabilities = [], labels = {}, availableOnly = false, ...rest }: AgentFilter): string {
  const isNarrowed = capabilities.length > 0 || Object.keys(labels).length > 0 || availableOnly || Object.values(rest).some((each) => each !== undefined);
  if (isNarrowed) return `no agent matches${node === undefined ? '' : ` on ${node}`}`;
  return node === undefined ? 'no agents yet: add one in its project directory with beckon agent add -- CMD' : `no agents on ${node}`;
}

/** @param columns of a terminal that the lines are to fit */
function linesOf({ out, host }: Context, views: readonly AgentView[], columns?: number): string[] {
  const nowMs = host.clock.now();
  return tableLines(
    out.colours,
    ['address', 'node', 'state', 'load', 'last seen', 'harness', 'available'],
    views.map((view) => {
      const { registration } = view;
      const available = registration.available ? 'yes' : `no: ${registration.unavailableWhy ?? 'unknown'}`;
      return [
        registration.address,
        view.nodeName,
        paintState(out.colours, view.state),
        loadText(view),
        lastSeen(view, nowMs),
        registration.harness,
        { text: available, paint: registration.available ? out.colours.green : out.colours.red },
      ];
    }),
    columns,
  );
}

/** Of its node. What is alive was heard of within seconds, and a list that is looked at for longer need not count them. */
function lastSeen({ state, lastSeenMs }: AgentView, nowMs: number): string {
  if (state === 'here') return '-';
  if (state === 'alive') return 'now';
  return lastSeenMs === undefined || lastSeenMs === 0 ? 'never' : relativeTime(Math.min(lastSeenMs, nowMs), nowMs, formatDuration);
}

function checkNode(given: string): string {
  parseNodeRef(given);
  return given;
}
