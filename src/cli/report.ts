/** One page about the mesh: what is not well, and what can't be known. */
import type { Command } from 'commander';
import type { MeshReport } from '../client/types.ts';
import { formatDuration, parseDuration } from '../domain/duration.ts';
import type { Count, NodeReport, Owing, TroubledFlight } from '../domain/observation.ts';
import { neutralise } from '../domain/text.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import type { Names } from './json.ts';
import { gapWords } from './gap-words.ts';
import { narrowTable, wrapped } from './narrow-table.ts';
import type { NarrowTable } from './narrow-table.ts';
import { namesOf, reportDocument } from './operator-json.ts';
import { duration, examples, number } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { localTime, relativeTime } from './output.ts';
import type { Output } from './output.ts';

const defaultSince = '7d';
/** Titles stand in a column. */
const titleWidth = 17;
const open = ['queued', 'running', 'waiting'] as const;

export function defineReport(program: Command, on: Register): void {
  on(
    program
      .command('report')
      .addOption(duration('--since <d>', `how far back to look for what went wrong (${defaultSince} by default)`))
      .description('Show on one page what is not well in the mesh, and what can’t be known of nodes that do not answer.')
      .addHelpText('after', examples('beckon report', 'beckon report --since 1d --json')),
    report,
  );
}

async function report(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const backMs = number(options, 'since') ?? parseDuration(defaultSince);
  const found = await withNode(context, (client) => client.report(Math.max(0, host.clock.now() - backMs)));
  if (out.isJson) await out.json(reportDocument(found));
  else await new Page(out, found, backMs).print();
  return exitOk;
}

class Page {
  readonly #out: Output;
  readonly #report: MeshReport;
  readonly #names: Names;
  readonly #back: string;
  #isApart = false;

  constructor(out: Output, found: MeshReport, backMs: number) {
    this.#out = out;
    this.#report = found;
    this.#names = namesOf(found.names);
    this.#back = formatDuration(backMs);
  }

  async print(): Promise<void> {
    const { meshName, nodeId, atMs } = this.#report;
    const where = meshName === undefined ? 'no mesh' : `mesh ${meshName}`;
    await this.#line(`${where}, as ${this.#name(nodeId)} sees it at ${localTime(atMs)}`);
    await this.#nodes();
    await this.#undelivered();
    await this.#gone('dead letters', 'dead', 'make it anew: beckon delivery redrive ID, at its origin');
    await this.#gone('indeterminate', 'indeterminate', 'may have run: look at what it did, then beckon delivery redrive ID --yes, at its origin');
    await this.#waiting();
    await this.#slow();
    await this.#certificates();
    await this.#versions();
    await this.#unknown();
  }

  async #nodes(): Promise<void> {
    const { nodes, gaps, peers, nodeId, atMs } = this.#report;
    const rows = [...nodes.map((each) => ({ id: each.nodeId, name: each.name, node: each })), ...gaps.map((each) => ({ id: each.nodeId, name: each.nodeName, node: undefined }))].map(({ id, name, node }) => {
      const peer = peers.find((each) => each.nodeId === id);
      const state = id === nodeId ? 'here' : (peer?.state ?? 'discovered');
      const since = peer === undefined ? '-' : relativeTime(Math.min(peer.sinceMs, atMs), atMs, formatDuration);
      const counts = open.map((each) => (node === undefined ? '?' : String(node.flights[each] ?? 0)));
      return [name, paintState(this.#out.colours, state), since, peer?.rttMs === undefined || state !== 'alive' ? '-' : `${peer.rttMs.toFixed(1)} ms`, ...counts, node?.version ?? peer?.version ?? '?', noteOf(node)];
    });
    const seen = [...Map.groupBy(peers, (each) => each.state)].map(([state, those]) => `${those.length} ${state}`).join(', ');
    await this.#section('nodes', `${rows.length}${seen === '' ? '' : `: this one, ${seen}`}`, true);
    await this.#table({ heads: ['node', 'state', 'since', 'rtt', ...open, 'version', 'note'], rows, optional: ['rtt', 'version'] });
  }

  async #undelivered(): Promise<void> {
    const of = this.#report.nodes.filter((each) => each.undelivered.count > 0);
    await this.#section('undelivered', of.length === 0 ? 'none' : total(of.map((each) => each.undelivered)), of.length > 0);
    if (of.length === 0) return;
    const rows = of.map(({ name, undelivered: { oldest, ...count } }) => [name, counted(count), ...this.#flightCells(oldest)]);
    await this.#table({ heads: ['at', 'count', 'oldest', 'for', 'to', 'tries', 'why'], rows, optional: ['tries', 'count'] });
  }

  async #gone(title: string, which: 'dead' | 'indeterminate', hint: string): Promise<void> {
    const of = this.#report.nodes.filter((each) => each[which].count > 0);
    await this.#section(title, of.length === 0 ? `none in ${this.#back}` : `${perNode(of.map((each) => [each.name, each[which]]))} in ${this.#back}`, of.length > 0);
    if (of.length === 0) return;
    const all = of.flatMap(({ name, [which]: { newest } }) => newest.map((flight) => ({ name, flight })));
    // One flight may stand at its origin and at its owner.
    const rows = [...Map.groupBy(all, ({ flight }) => flight.invocationId).values()].flatMap((those) => {
      const [first] = those;
      return first === undefined ? [] : [[those.map(({ name }) => name).join(', '), ...this.#flightCells(first.flight).toSpliced(3, 1)]];
    });
    await this.#table({ heads: ['at', 'newest', 'since', 'to', 'why'], rows });
    await this.#line(hint, '  ');
  }

  async #waiting(): Promise<void> {
    const of = this.#report.nodes.filter((each) => each.waiting.count > 0);
    if (of.length === 0) return;
    const oldest = of.flatMap(({ waiting }) => waiting.oldest ?? []).toSorted((a, b) => a.sinceMs - b.sinceMs)[0];
    await this.#section('waiting for you', `${perNode(of.map((each) => [each.name, each.waiting]))}${oldest === undefined ? '' : `, the oldest for ${formatDuration(this.#report.atMs - oldest.sinceMs)}`}: beckon inbox`, false);
  }

  async #slow(): Promise<void> {
    const rows = this.#report.nodes.flatMap(({ slow }) => slow.map(({ address, running, queued, why }) => [address, String(running), String(queued), why]));
    await this.#section('slow agents', rows.length === 0 ? 'none' : String(rows.length), rows.length > 0);
    if (rows.length > 0) await this.#table({ heads: ['agent', 'running', 'queued', 'why'], rows, optional: ['running', 'queued'] });
  }

  async #certificates(): Promise<void> {
    const { certificates, atMs } = this.#report;
    const words = certificates.map(({ nodeName, endsAtMs }) => `${nodeName} ${endsAtMs <= atMs ? `ended ${formatDuration(atMs - endsAtMs)} ago` : `ends in ${formatDuration(endsAtMs - atMs)}`}`);
    await this.#section('certificates', words.length === 0 ? 'none ends within 30d' : words.join(', '), false);
  }

  async #versions(): Promise<void> {
    const { nodes, gaps, peers } = this.#report;
    const last = gaps.map(({ nodeId, nodeName }) => ({ name: nodeName, version: peers.find((each) => each.nodeId === nodeId)?.version ?? 'not known' }));
    const by = [...Map.groupBy([...nodes, ...last], ({ version }) => version)];
    await this.#section('versions', by.length === 1 ? `${by[0]?.[0] ?? ''} on all` : by.map(([version, those]) => `${version} on ${those.map((each) => each.name).join(', ')}`).join('; '), false);
  }

  async #unknown(): Promise<void> {
    const { gaps, atMs } = this.#report;
    await this.#section('not known', gaps.length === 0 ? 'nothing: all nodes answered' : `what ${gaps.length === 1 ? 'this node has' : 'these nodes have'} queued, running or waiting, undelivered, dead or indeterminate, and how slow ${gaps.length === 1 ? 'its' : 'their'} agents are`, gaps.length > 0);
    for (const { nodeId, nodeName, why, sinceMs, lastSeenMs } of gaps) {
      const since = sinceMs === undefined ? '' : `, for ${formatDuration(Math.max(0, atMs - sinceMs))}`;
      const seen = sinceMs === undefined || lastSeenMs === undefined ? '' : `, last heard ${localTime(lastSeenMs)}`;
      await this.#line(`gap: ${gapWords({ nodeName, why })}${since}${seen}`, '  ', '    ');
      const known = this.#report.nodes.flatMap(({ name, owing }) => owing.filter((each) => each.nodeId === nodeId).map((each) => this.#owingWords(name, each)));
      await this.#line(`known: ${known.length === 0 ? 'nothing is open there for the nodes that answered' : known.join('; ')}`, '    ', '    ');
    }
  }

  #owingWords(name: string, { undelivered, open: under }: Owing): string {
    const { atMs } = this.#report;
    const oldest = undelivered.oldest === undefined ? '' : `, the oldest for ${formatDuration(Math.max(0, atMs - undelivered.oldest.sinceMs))}`;
    const held = undelivered.count > 0 ? [`${counted(undelivered)} held at ${name} for it${oldest}`] : [];
    return [...held, ...(under.count > 0 ? [`${counted(under)} sent to it by ${name}, whose end is not known`] : [])].join('; ');
  }

  #flightCells(flight: TroubledFlight | undefined): string[] {
    if (flight === undefined) return ['-', '-', '-', '-', ''];
    const { invocationId, target, sinceMs, attempts, why } = flight;
    return [invocationId.slice(-6), formatDuration(Math.max(0, this.#report.atMs - sinceMs)), target, String(attempts), why];
  }

  #name(nodeId: string): string {
    return this.#names[nodeId] ?? nodeId;
  }

  /** Apart from the others when there is more to it than a line. */
  async #section(title: string, words: string, hasMore: boolean): Promise<void> {
    if (hasMore || this.#isApart) await this.#out.line();
    this.#isApart = hasMore;
    const columns = this.#out.isTerminal ? this.#out.columns : Number.POSITIVE_INFINITY;
    const [first = '', ...rest] = wrapped(neutralise(words), columns - titleWidth);
    await this.#out.line(`${this.#out.colours.bold(title.toUpperCase().padEnd(titleWidth))}${first}`);
    for (const line of rest) await this.#out.line(`${' '.repeat(titleWidth)}${line}`);
  }

  async #line(text: string, indent = '', further = indent): Promise<void> {
    const columns = this.#out.isTerminal ? this.#out.columns : Number.POSITIVE_INFINITY;
    for (const [at, line] of wrapped(neutralise(text), columns - further.length).entries()) await this.#out.line(`${at === 0 ? indent : further}${line}`);
  }

  async #table(table: NarrowTable): Promise<void> {
    await narrowTable(this.#out, table);
  }
}

function noteOf(node: NodeReport | undefined): string {
  if (node === undefined) return 'did not answer: see below';
  const { suspect = 0, unreachable = 0 } = node.peers;
  const away = suspect + unreachable;
  return [node.draining ? 'goes down: takes no new work' : undefined, away > 0 ? `does not reach ${away}` : undefined, node.refused].filter((each) => each !== undefined).join('; ');
}

function counted({ count, more }: Count): string {
  return `${count}${more ? '+' : ''}`;
}

/** Not summed up: one flight may be counted at its origin and at its owner. */
function perNode(counts: readonly (readonly [name: string, count: Count])[]): string {
  return counts.map(([name, count]) => `${counted(count)} at ${name}`).join(', ');
}

function total(counts: readonly Count[]): string {
  return counted({ count: counts.reduce((sum, each) => sum + each.count, 0), more: counts.some((each) => each.more) });
}
