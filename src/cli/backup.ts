/** A copy of the node's database. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BackupProgress, BackupReport, NodeClient } from '../client/types.ts';
import { BrokerError } from '../domain/errors.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { examples } from './options.ts';
import type { Register } from './options.ts';
import { sizeOf } from './size.ts';
import { StatusLine } from './status-line.ts';
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
  const report = await withNode(context, (client) => written(context, client, path), { offline: true });
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

/** On a terminal with how far it is; a node that was not started again since an upgrade can't say that. */
async function written(context: Context, client: NodeClient, path: string): Promise<BackupReport> {
  const status = new StatusLine(context);
  status.set('the backup begins');
  try {
    return await client.backup(path, (progress) => status.update(wordsOf(progress)));
  } catch (thrown) {
    if (thrown instanceof BrokerError && thrown.code === 'incompatible') return await client.backup(path);
    throw thrown;
  } finally {
    status.set(undefined);
  }
}

function wordsOf(progress: BackupProgress): string {
  if (progress.step === 'check') return 'the copy is checked';
  const { step, done, total } = progress;
  return step === 'copy' ? `copied ${sizeOf(done)} of ${sizeOf(total)}` : `compared with what was written meanwhile: ${Math.floor((100 * done) / Math.max(1, total))} %`;
}
