/** The records of this node, for other programs. */
import type { Command } from 'commander';
import { invalid } from '../domain/errors.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import type { Names } from './json.ts';
import { exportFields, namesOf } from './operator-json.ts';
import { examples, parsed, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { checkSince, sinceMs } from './since.ts';

const what = `
Flights accepted, and facts written, in that time, on this node, as JSON, one object a line: "export" first, then
"flight" (with its delivery and each try), then "fact", and "end" with their numbers. It is whole only with "end".
Each flight is as it was when its line was read; the facts are read last, so that each state has its fact.
Not in it: tasks, files, outputs, prompts of agents, keys, agents and their environments. Error messages are, and
may quote an agent's last words. What was pruned is gone.
`;

export function defineExport(program: Command, on: Register): void {
  on(
    program
      .command('export')
      .addOption(parsed('--since <t>', 'from a time, or from so long ago, on', checkSince))
      .addOption(parsed('--until <t>', 'up to a time, or to so long ago', checkSince))
      .description('Print what this node has on record of a period as JSON lines, while it runs or not.')
      .addHelpText('after', `${what}${examples('beckon export > all.jsonl', 'beckon export --since 2026-03-01 --until 2026-04-01 | gzip > march.jsonl.gz')}`),
    exportRecords,
  );
}

async function exportRecords(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const nowMs = host.clock.now();
  const [since, until] = [text(options, 'since'), text(options, 'until')].map((each) => (each === undefined ? undefined : sinceMs(each, nowMs)));
  if (since !== undefined && until !== undefined && until <= since) throw invalid('that period ends before it begins', 'for example --since 2026-03-01 --until 2026-04-01');
  const input = { ...(since === undefined ? {} : { sinceMs: since }), ...(until === undefined ? {} : { untilMs: until }) };
  return await withNode(
    context,
    async (client) => {
      let names: Names = {};
      for await (const line of client.export(input, { signal: out.readerGone })) {
        if (line.type === 'begin') names = namesOf(line.names);
        const atMs = line.type === 'flight' ? line.flight.acceptedAtMs : line.type === 'fact' ? line.fact.atMs : line.atMs;
        await out.event(line.type === 'begin' ? 'export' : line.type, exportFields(line, names), atMs);
      }
      return exitOk;
    },
    { offline: true },
  );
}
