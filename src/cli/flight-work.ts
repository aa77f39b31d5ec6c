/** What isolated flights have left: flight diff, fetch, discard. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BrokerError, conflict, toBrokerError } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { mostPatchBytes } from '../domain/worktree.ts';
import type { DiffFile, DiffSummary } from '../domain/worktree.ts';
import { neutralise } from '../domain/text.ts';
import type { NodeClient } from '../client/types.ts';
import { findWorkingTree, PatchFile } from './apply-patch.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { diffDocument } from './json.ts';
import { checkId, examples, flag, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { table } from './table.ts';
import { TerminalText } from './terminal-text.ts';

const idHelp = 'an id of the flight or its invocation, 4 or more last characters of one, or last';

export function defineFlightWork(flight: Command, on: Register): void {
  on(
    flight
      .command('diff')
      .argument('<id>', idHelp)
      .description('Print what an isolated flight has changed, as a patch for git apply: commits, edits and new files, against the commit that it began at.')
      .option('--stat', 'list the files only')
      .option('--raw', 'pass control sequences to the terminal')
      .addHelpText('after', examples('beckon flight diff last', 'beckon flight diff last --stat', 'beckon flight diff 8Q2X | git apply')),
    diff,
  );
  on(
    flight
      .command('fetch')
      .argument('<id>', idHelp)
      .description('Apply what an isolated flight has changed to the git repository here, all or nothing, and let its worktree go. What is applied is staged.')
      .option('--into <dir>', 'the repository around this directory instead of the current one')
      .option('--keep', 'keep the worktree')
      .addHelpText('after', examples('beckon flight fetch last', 'beckon flight fetch 8Q2X --into ~/code/shop --keep')),
    fetchWork,
  );
  on(
    flight
      .command('discard')
      .argument('<id>', idHelp)
      .description('Remove the worktree of an isolated flight, and its branch, with all that is in them.')
      .addHelpText('after', examples('beckon flight discard last')),
    discard,
  );
}

async function diff(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  checkId(id);
  const isStat = flag(options, 'stat');
  const reading = new AbortController();
  out.readerGone.addEventListener('abort', () => reading.abort());
  return await withNode(context, async (client) => {
    const pieces: Uint8Array[] = [];
    const harmless = host.tty.stdout && !flag(options, 'raw') ? new TerminalText() : undefined;
    let flightId = '';
    let summary: DiffSummary | undefined;
    for await (const part of client.readDiff(id, { signal: reading.signal })) {
      if (part.type === 'begin') {
        ({ flightId, summary } = part);
        if (!out.isJson && summary.truncated && !isStat) throw tooLong(part.ownerName);
        // Only this of it is wanted.
        if (isStat) break;
      } else if (out.isJson) pieces.push(part.bytes);
      else await out.write(harmless?.push(part.bytes) ?? part.bytes);
    }
    out.readerGone.throwIfAborted();
    if (summary === undefined) throw new BrokerError('unavailable', 'the node has not sent a diff');
    if (out.isJson) await out.json(diffDocument(flightId, summary, isStat ? undefined : Buffer.concat(pieces)));
    else if (isStat) await stat(context, summary);
    else if (harmless !== undefined) await out.write(harmless.end() + (harmless.endsLine ? '' : '\n'));
    tellAbout(context, summary);
    return exitOk;
  });
}

async function stat({ out }: Context, summary: DiffSummary): Promise<void> {
  const count = (lines: number | undefined): string => (lines === undefined ? 'binary' : String(lines));
  if (summary.fileCount > 0) await table(out, ['file', 'added', 'removed'], summary.files.map((file) => [neutralise(file.path), count(file.added), count(file.removed)]));
  if (summary.fileCount > summary.files.length) out.note(`and ${summary.fileCount - summary.files.length} more`);
}

function tellAbout({ out }: Context, { fileCount, nested }: DiffSummary): void {
  if (out.isJson) return;
  if (fileCount === 0) out.note('nothing was changed');
  if (nested.length > 0) out.note(`${out.noteColours.yellow('not in it:')} the content of repositories of their own: ${neutralise(nested.join(', '))}`);
}

async function fetchWork(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  checkId(id);
  const isKept = flag(options, 'keep');
  const into = await findWorkingTree(host.git, resolve(host.cwd, text(options, 'into') ?? '.'));
  return await withNode(context, async (client) => {
    // By its whole id from here on: `last` may be another one in a moment.
    const { flight } = await client.getFlight(id);
    if (!isTerminal(flight.state) && !isKept) throw conflict(`${flight.id} has not ended yet: it is ${flight.state}`, 'wait for it, or take what is there now: --keep');
    await using patch = await PatchFile.create();
    let summary: DiffSummary | undefined;
    for await (const part of client.readDiff(flight.id)) {
      if (part.type === 'begin') {
        ({ summary } = part);
        if (summary.truncated) throw tooLong(part.ownerName);
      } else await patch.add(part.bytes);
    }
    if (summary === undefined) throw new BrokerError('unavailable', 'the node has not sent a diff');
    if (summary.patchBytes > 0) await patch.applyTo(host.git, into);
    const settled = isKept ? { state: 'kept', why: undefined } : await letGo(client, flight.id, summary.tree);
    if (out.isJson) await out.json({ flightId: flight.id, applied: summary.patchBytes > 0, into, ...counted(summary), state: settled.state, ...(settled.why === undefined ? {} : { why: settled.why }) });
    else {
      await out.line(summary.patchBytes > 0 ? `applied to ${into} and staged: ${plural(summary.fileCount, 'file')}` : 'nothing was changed');
      if (settled.why !== undefined) out.note(`${out.noteColours.yellow('its worktree is kept:')} ${neutralise(settled.why)}`);
      if (settled.state === 'kept') out.note(`when you are done with it: beckon flight discard ${flight.id.slice(-6)}`);
    }
    return exitOk;
  });
}

/** The work is here: an owner that can't let it go now does not change that. */
async function letGo(client: NodeClient, id: string, tree: string): Promise<{ state: string; why: string | undefined }> {
  try {
    const { isolation } = await client.settleWorktree({ id, verb: 'fetched', tree });
    return { state: isolation.state, why: undefined };
  } catch (error) {
    return { state: 'kept', why: toBrokerError(error).message };
  }
}

async function discard(context: Context, [id = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkId(id);
  const { flightId, ownerName, isolation, tip } = await withNode(context, (client) => client.settleWorktree({ id, verb: 'discarded' }));
  if (out.isJson) await out.json({ flightId, state: isolation.state, branch: isolation.branch, ...(tip === undefined ? {} : { tip }) });
  else {
    await out.line(isolation.state === 'discarded' ? `${flightId}: its worktree and its branch ${neutralise(isolation.branch)} are gone` : `${flightId}: there was nothing to discard, its worktree is ${isolation.state}`);
    if (tip !== undefined) out.note(out.dim(`its commits can be had back for a while, on ${ownerName}: git branch rescue ${tip.slice(0, 12)}`));
  }
  return exitOk;
}

function tooLong(ownerName: string): BrokerError {
  return new BrokerError('overload', `the diff is longer than the ${mostPatchBytes / 1024 / 1024} MiB that a node hands out`, {
    hint: `its files: beckon flight diff ID --stat; on ${ownerName} beckon flight show names the worktree`,
  });
}

function counted({ files, fileCount }: DiffSummary): { files: number; added: number; removed: number } {
  const sum = (of: (file: DiffFile) => number | undefined): number => files.reduce((total, file) => total + (of(file) ?? 0), 0);
  return { files: fileCount, added: sum((file) => file.added), removed: sum((file) => file.removed) };
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
