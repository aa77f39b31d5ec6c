/** A copy of the node's database. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { examples } from './options.ts';
import type { Register } from './options.ts';
import { facts } from './table.ts';

export function defineBackup(program: Command, on: Register): void {
  on(
    program
      .command('backup')
      .argument('<file>', 'where to write it; nothing may be there yet')
      .description('Write a copy of what this node has stored, while it runs or not. Its keys are not in it.')
      .addHelpText('after', examples('beckon backup ~/beckon-monday.db')),
    backup,
  );
}

async function backup(context: Context, [file = '']: readonly string[]): Promise<number> {
  const { out, host } = context;
  const path = resolve(host.cwd, file);
  const report = await withNode(context, (client) => client.backup(path), { offline: true });
  if (out.isJson) {
    await out.json(report);
    return exitOk;
  }
  const flights = Object.entries(report.flights).map(([state, count]) => `${count} ${state}`);
  await facts(out, [
    ['backup', report.path],
    ['size', `${report.bytes} bytes, checked`],
    ['schema', `version ${report.schemaVersion}`],
    ['flights', flights.join(', ') || 'none'],
    ['agents', String(report.agents)],
    ['members', String(report.members)],
  ]);
  return exitOk;
}
