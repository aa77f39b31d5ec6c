/** Who was let in, put out, trusted and denied on this node, by whom, and from where. */
import type { Command } from 'commander';
import type { AuditFinding, AuditFlaw, AuditRow } from '../domain/audit.ts';
import { auditCheck, wordsOfAbout, wordsOfWhence, wordsOfWho } from '../domain/audit-words.ts';
import { invalid } from '../domain/errors.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk, exitWorkFailed } from './exit.ts';
import { addPaging, examples, flag, pageOf, parsed, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { isoTime, localTime } from './output.ts';
import { checkSince, sinceMs } from './since.ts';
import { table } from './table.ts';

const quietMs = 2_000;

export function defineAudit(program: Command, on: Register): void {
  on(
    addPaging(
      program
        .command('audit')
        .description('List who was let in, put out, trusted and denied on this node, by whom and from where, newest first.')
        .addOption(parsed('--since <t>', 'only since a time, or in the last so long', checkSince))
        .option('--check', 'check all of it, from its first row, instead: whether anything was changed, removed or put in')
        .option('--note', 'record that you have seen what is wrong with it: doctor complains of that no longer'),
    ).addHelpText('after', examples('beckon audit', 'beckon audit --since 7d --json', 'beckon audit --check')),
    audit,
  );
}

async function audit(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  if (flag(options, 'check') && flag(options, 'note')) throw invalid('--check and --note are two things', 'first beckon audit --check, then beckon audit --note');
  const since = text(options, 'since');
  const whole = flag(options, 'check') ? '--check' : flag(options, 'note') ? '--note' : undefined;
  if (whole !== undefined && (since !== undefined || text(options, 'after') !== undefined)) throw invalid(`${whole} is about the whole audit, and no part of it can be named`, `beckon audit ${whole}`);
  if (flag(options, 'check')) return await check(context);
  if (flag(options, 'note')) return await note(context);
  const { out, host } = context;
  const filter = since === undefined ? {} : { sinceMs: sinceMs(since, host.clock.now()) };
  const page = await withNode(context, (client) => client.listAudit(filter, pageOf(options)));
  if (out.isJson) {
    await out.json({ entries: page.items.map(entryDocument), ...(page.next === undefined ? {} : { next: page.next }) });
    return exitOk;
  }
  if (page.items.length === 0) {
    out.note(since === undefined ? 'nothing is recorded yet' : 'nothing is recorded of that time');
    return exitOk;
  }
  await table(out, ['row', 'at', 'what', 'who', 'from', 'about'], page.items.map(cells));
  if (page.next !== undefined) out.note(out.dim(`more: --after ${page.next}`));
  return exitOk;
}

function cells(row: AuditRow): readonly string[] {
  const times = row.times === 1 ? '' : ` (${row.times} times)`;
  return [String(row.number), localTime(row.atMs), `${row.kind}${times}`, wordsOfWho(row.who), wordsOfWhence(row.from), wordsOfAbout(row)];
}

function entryDocument({ number, atMs, kind, who, from, about, times, hash }: AuditRow): object {
  return { number, at: isoTime(atMs), kind, who, from, about, times, hash };
}

/** Who waits for longer than a moment is told what for. */
async function readingAll<Result>(context: Context, ask: Parameters<typeof withNode<Result>>[1]): Promise<Result> {
  const { out, host } = context;
  const cancelTimer = host.clock.setTimer(quietMs, () => out.note(out.dim('reading the whole audit: a million rows take about a minute')));
  return await withNode(context, ask).finally(cancelTimer);
}

async function check(context: Context): Promise<number> {
  const { out } = context;
  const finding = await readingAll(context, (client) => client.checkAudit({ whole: true }));
  const { ok, detail, hint } = auditCheck(finding);
  if (out.isJson) await out.json({ ok, ...findingDocument(finding) });
  else {
    const { green, red, dim } = out.colours;
    await out.line(`${ok ? green('ok') : red('FAIL')}  ${neutralise(detail)}`);
    // One alone is in the line above.
    if (finding.flaws.length > 1) for (const { why } of finding.flaws) await out.line(`      ${neutralise(why)}`);
    if (finding.flaws.length > 0 || finding.noted.length > 1) for (const { why } of finding.noted) await out.line(`      ${dim('noted:')} ${neutralise(why)}`);
    if (hint !== '') await out.line(`      ${dim('next:')} ${neutralise(hint.replace(' all that is wrong: beckon audit --check;', ''))}`);
  }
  return ok ? exitOk : exitWorkFailed;
}

async function note(context: Context): Promise<number> {
  const { out } = context;
  const flaws = await readingAll(context, (client) => client.noteAudit());
  if (out.isJson) await out.json({ noted: flaws });
  else if (flaws.length === 0) out.note('there is nothing to take note of');
  else for (const why of flaws) await out.line(`noted: ${neutralise(why)}`);
  return exitOk;
}

function findingDocument({ rows, flaws, noted, putBackMs }: AuditFinding): object {
  const document = ({ row, why }: AuditFlaw): object => ({ row, why });
  return { rows, flaws: flaws.map(document), noted: noted.map(document), putBack: putBackMs.map(isoTime) };
}
