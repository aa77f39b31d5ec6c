/** One invocation on every node that it touched: what happened, how far each has it, what can't be known. */
import type { Command } from 'commander';
import type { NodeClient, TraceView } from '../client/types.ts';
import { formatDuration } from '../domain/duration.ts';
import type { FlightStanding } from '../domain/observation.ts';
import { isTerminal } from '../domain/flight.ts';
import { neutralise } from '../domain/text.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { gapWords } from './gap-words.ts';
import { gapDocument } from './json.ts';
import { LetGo } from './let-go.ts';
import { narrowTable, wrapped } from './narrow-table.ts';
import { factFields, partyDocument, traceDocument } from './operator-json.ts';
import { checkId, examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { isoTime, localTime, relativeTime } from './output.ts';
import type { Output } from './output.ts';

/** How often it is looked for more. */
const lookMs = 1_000;
const heads = ['at', 'after', 'node', 'what', 'detail'];

type Entry = TraceView['entries'][number];

export function defineTrace(program: Command, on: Register): void {
  on(
    program
      .command('trace')
      .argument('<invocation>', 'an id of the flight or its invocation, 4 or more last characters of one, or last')
      .option('--follow', 'go on and show what happens, until it has ended')
      .description('Show one invocation on every node it touched, in one timeline, from any node of its owner.')
      .addHelpText('after', examples('beckon trace last', 'beckon trace 8Q2X --follow', 'beckon trace 8Q2X --json')),
    trace,
  );
}

async function trace(context: Context, [invocation = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  checkId(invocation);
  if (flag(options, 'follow')) return await withNode(context, (client) => followed(context, client, invocation));
  const found = await withNode(context, (client) => client.trace(invocation));
  if (out.isJson) {
    await out.json(traceDocument(found));
    return exitOk;
  }
  const startMs = found.entries[0]?.fact.atMs ?? 0;
  await narrowTable(out, { heads, rows: found.entries.map((each) => rowOf(each, startMs)), optional: ['after'] });
  await tellParties(context, found);
  return exitOk;
}

/** Ends when it has ended as far as all its nodes say, or with Ctrl-C. */
async function followed(context: Context, client: NodeClient, invocation: string): Promise<number> {
  const { out } = context;
  using letGo = new LetGo(context);
  const told = new Set<string>();
  let toldGaps = '';
  let startMs: number | undefined;
  let last: TraceView | undefined;
  // Its id from the first look on: `last` may soon be another one.
  for (let id = invocation; !letGo.signal.aborted; ) {
    const found = await client.trace(id);
    id = found.invocationId;
    last = found;
    startMs ??= found.entries[0]?.fact.atMs ?? 0;
    for (const entry of found.entries.filter(({ fact }) => !told.has(fact.id))) {
      told.add(entry.fact.id);
      if (out.isJson) await out.event('event', { node: entry.nodeName, ...factFields(entry) }, entry.fact.atMs);
      else await out.line(neutralise(rowOf(entry, startMs).join('  ')));
    }
    const gaps = JSON.stringify(found.gaps.map(({ nodeId, why }) => [nodeId, why]));
    if (gaps !== toldGaps) for (const gap of found.gaps) await (out.isJson ? out.event('gap', gapDocument(gap)) : tellGap(context, gap));
    toldGaps = gaps;
    if (hasEnded(found)) break;
    await letGo.pause(lookMs);
  }
  if (last === undefined) return exitOk;
  if (out.isJson) await out.event('parties', { invocationId: last.invocationId, parties: last.parties.map(partyDocument) });
  else await tellParties(context, { ...last, gaps: [] });
  return exitOk;
}

/** By the word of all its nodes that know of it: it may have ended before it was sent, or one may have pruned it. */
function hasEnded({ parties, gaps }: TraceView): boolean {
  const known = parties.flatMap(({ standing }) => standing ?? []);
  return gaps.length === 0 && known.length > 0 && known.every(({ state }) => isTerminal(state));
}

function rowOf({ fact, nodeName, peerName }: Entry, startMs: number): string[] {
  return [localTime(fact.atMs), formatDuration(fact.atMs - startMs), nodeName, fact.what, detailOf(fact.detail, peerName)];
}

export function detailOf(detail: Entry['fact']['detail'], peerName: string | undefined): string {
  return [...(peerName === undefined ? [] : [`${peerName}:`]), ...Object.entries(detail).map(([key, value]) => `${key}=${value}`)].join(' ');
}

async function tellParties(context: Context, { parties, gaps, entries }: TraceView): Promise<void> {
  const { out } = context;
  if (entries.length > 0) await out.line();
  for (const { nodeName, isOrigin, isOwner, standing } of parties) {
    const role = isOrigin && isOwner ? 'origin and owner' : isOrigin ? 'origin' : 'owner';
    if (standing !== undefined) await out.line(`${out.colours.dim(role.padEnd(6))}  ${neutralise(nodeName)}  ${stateOf(out, standing)}`);
    else if (!gaps.some((gap) => gap.nodeName === nodeName)) await out.line(`${out.colours.dim(role.padEnd(6))}  ${neutralise(nodeName)}  knows nothing of it`);
  }
  for (const gap of gaps) await tellGap(context, gap);
}

function stateOf(out: Output, { state, run, finishedAtMs, startedAtMs, receivedAtMs, acceptedAtMs }: FlightStanding): string {
  const { text, paint = (word: string) => word } = paintState(out.colours, state);
  const sinceMs = finishedAtMs ?? startedAtMs ?? receivedAtMs ?? acceptedAtMs;
  return `${paint(text)}${run > 1 ? `, run ${run}` : ''}  ${out.colours.dim(localTime(sinceMs))}`;
}

async function tellGap({ out, host }: Context, { nodeName, why, sinceMs, unknown = [] }: TraceView['gaps'][number]): Promise<void> {
  const nowMs = host.clock.now();
  const since = sinceMs === undefined ? '' : `, since ${isoOrLocal(out, sinceMs)} (${relativeTime(Math.min(sinceMs, nowMs), nowMs, formatDuration)})`;
  const columns = out.isTerminal ? out.columns : Number.POSITIVE_INFINITY;
  const [first = '', ...rest] = wrapped(neutralise(`${gapWords({ nodeName, why })}${since}`), columns - 5);
  await out.line(`${out.colours.yellow('gap:')} ${first}`);
  for (const line of rest) await out.line(`     ${line}`);
  for (const each of unknown) for (const [at, line] of wrapped(neutralise(`not known: ${each}`), columns - 7).entries()) await out.line(`${at === 0 ? '     ' : '       '}${line}`);
}

function isoOrLocal(out: Output, ms: number): string {
  return out.isTerminal ? localTime(ms) : isoTime(ms);
}
