/** The agents of all nodes: agents. */
import type { Command } from 'commander';
import { parseNodeRef } from '../domain/name.ts';
import type { AgentView } from '../client/types.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { agentDocument } from './json.ts';
import { addPaging, examples, pageOf, parsed, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { table } from './table.ts';

export function defineAgentList(program: Command, on: Register): void {
  on(
    addPaging(
      program
        .command('agents')
        .description('List the agents of all nodes.')
        .addOption(parsed('--node <node>', 'only those of this node', checkNode)),
    ).addHelpText('after', examples('beckon agents', 'beckon agents --node laptop --json')),
    agents,
  );
}

async function agents(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const node = text(options, 'node');
  const page = await withNode(context, (client) => client.listAgents(node === undefined ? {} : { node }, pageOf(options)));
  if (out.isJson) {
    await out.json({ agents: page.items.map(agentDocument), ...(page.next === undefined ? {} : { next: page.next }) });
    return exitOk;
  }
  if (page.items.length === 0) {
    out.note(node === undefined ? 'no agents yet: add one in its project directory with beckon agent add -- CMD' : `no agents on ${node}`);
    return exitOk;
  }
  await table(out, ['address', 'node', 'harness', 'state', 'available'], page.items.map((view) => row(context, view)));
  if (page.next !== undefined) out.note(out.dim(`more: --after ${page.next}`));
  return exitOk;
}

function row({ out }: Context, view: AgentView): Parameters<typeof table>[2][number] {
  const { registration } = view;
  const available = registration.available ? 'yes' : `no: ${registration.unavailableWhy ?? 'unknown'}`;
  return [
    registration.address,
    view.nodeName,
    registration.harness,
    paintState(out.colours, view.state),
    { text: available, paint: registration.available ? out.colours.green : out.colours.red },
  ];
}

function checkNode(given: string): string {
  parseNodeRef(given);
  return given;
}
