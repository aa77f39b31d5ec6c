/** Flights: flights; flight show, follow, output, wait, cancel. Their work is in flight-work.ts. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import { invalid } from '../domain/errors.ts';
import { flightStates, isTerminal } from '../domain/flight.ts';
import type { FlightState } from '../domain/flight.ts';
import { outputStreams } from '../domain/flight-event.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import type { Delivery, Flight } from '../domain/records.ts';
import { neutralise } from '../domain/text.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import type { FlightDetail, NodeClient } from '../client/types.ts';
import { exitOfFlight, exitOk, exitStillGoing } from './exit.ts';
import { failureOf, tellFailure } from './flight-view.ts';
import { defineFlightWork } from './flight-work.ts';
import { watchGroup } from './group-watch.ts';
import { cancelWholeGroup, flightOrGroup, showGroup, waitForGroup } from './groups.ts';
import { cancelWaitMs } from './interrupts.ts';
import { bytesFields, flightDocument, flightShowDocument } from './json.ts';
import { nodeNames } from './names.ts';
import { addPaging, checkId, choice, duration, examples, flag, number, pageOf, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { isoTime, localTime, relativeTime } from './output.ts';
import { commandsFor, defineRequests } from './requests.ts';
import { facts, table } from './table.ts';
import { TerminalText } from './terminal-text.ts';
import { watch } from './watch.ts';

const idHelp = 'an id of the flight, its invocation or its group, 4 or more last characters of one, or last';
/** One JSON document holds the whole output, and a string has an end. */
const mostDocumentBytes = 256 * 1024 * 1024;

export function defineFlights(program: Command, on: Register): void {
  on(
    addPaging(
      program
        .command('flights')
        .description('List what this node originated or owns, newest first.')
        .addOption(choice('--state <s>', 'only those in this state', flightStates))
        .option('--agent <address>', 'only those of this agent')
        .option('--node <node>', 'ask that node')
        .option('--group <group>', 'only those that were invoked together'),
    ).addHelpText('after', examples('beckon flights', 'beckon flights --state running', 'beckon flights --limit 1000 --json')),
    flights,
  );
  const flight = program.command('flight').description('One flight: the life of one invocation.').addHelpText('after', examples('beckon flight show last', 'beckon flight follow 8Q2X'));
  on(flight.command('show').argument('<id>', idHelp).description('Show a flight and its receipts.').addHelpText('after', examples('beckon flight show last', 'beckon flight show 8Q2X --json')), show);
  on(
    flight
      .command('follow')
      .argument('<id>', idHelp)
      .description('Show a flight from its beginning to its end. It exits as the flight ends.')
      .option('-q, --quiet', 'only the answer, and errors')
      .option('--raw', 'pass control sequences to the terminal')
      .addHelpText('after', examples('beckon flight follow last')),
    follow,
  );
  on(
    flight
      .command('output')
      .argument('<id>', idHelp)
      .description('Print all that the agent has written.')
      .addOption(choice('--stream <stream>', 'stdout unless given', outputStreams))
      .option('--raw', 'pass control sequences to the terminal')
      .addHelpText('after', examples('beckon flight output last > answer.txt', 'beckon flight output 8Q2X --stream stderr')),
    output,
  );
  on(
    flight
      .command('wait')
      .argument('<id>', idHelp)
      .description('Wait until a flight is over. It exits as the flight ends, and with 10 when the time is up.')
      .addOption(duration('--timeout <duration>', 'wait no longer than this'))
      .addHelpText('after', examples('beckon flight wait last --timeout 10m')),
    wait,
  );
  on(
    flight
      .command('cancel')
      .argument('<id>', idHelp)
      .description("End a flight. Waits up to 30s for its owner's word; without it the request stands.")
      .addHelpText('after', examples('beckon flight cancel last')),
    cancel,
  );
  defineFlightWork(flight, on);
  defineRequests(program, flight, on);
}

async function flights(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const [state, agent, node, group] = [text(options, 'state') as FlightState | undefined, text(options, 'agent'), text(options, 'node'), text(options, 'group')];
  const filter = { ...(state === undefined ? {} : { state }), ...(agent === undefined ? {} : { agent }), ...(node === undefined ? {} : { node }), ...(group === undefined ? {} : { group: checkId(group) }) };
  const { page, names } = await withNode(context, async (client) => ({
    page: await client.listFlights(filter, pageOf(options)),
    names: out.isJson ? await nodeNames(client) : {},
  }));
  if (out.isJson) {
    await out.json({ flights: page.items.map((each) => flightDocument(each, names)), ...(page.next === undefined ? {} : { next: page.next }) });
    return exitOk;
  }
  if (page.items.length === 0) {
    const isFiltered = state !== undefined || agent !== undefined || group !== undefined;
    out.note(isFiltered ? 'no flights match' : 'no flights yet: make one with beckon invoke ADDRESS "what to do"');
    return exitOk;
  }
  const nowMs = host.clock.now();
  await table(
    out,
    ['flight', 'state', 'target', 'accepted', 'took'],
    page.items.map((each) => [
      each.id,
      paintState(out.colours, each.state),
      each.target,
      relativeTime(each.acceptedAtMs, nowMs, formatDuration),
      each.startedAtMs === undefined ? '-' : formatDuration(Math.max(0, (each.finishedAtMs ?? nowMs) - each.startedAtMs)),
    ]),
  );
  if (page.next !== undefined) out.note(out.dim(`more: --after ${page.next}`));
  return exitOk;
}

async function show(context: Context, [id = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkId(id);
  return await withNode(context, async (client) => {
    const found = await flightOrGroup(client, id, () => client.getFlight(id));
    return 'group' in found ? await showGroup(context, client, found.group) : await tellDetail(out, found.flight);
  });
}

async function tellDetail(out: Context['out'], detail: FlightDetail): Promise<number> {
  if (out.isJson) {
    await out.json(flightShowDocument(detail));
    return exitOk;
  }
  const { flight, delivery } = detail;
  const at = (ms: number | undefined, where: string): string => (ms === undefined ? 'not yet' : `${localTime(ms)} on ${where}`);
  const failure = failureOf(flight);
  await facts(out, [
    ['flight', flight.id],
    ['invocation', flight.invocationId],
    ['state', flight.state],
    ['target', flight.target],
    ['session', flight.sessionId],
    ['group', flight.groupId],
    ['caller', `${flight.caller} on ${detail.originName}`],
    ['accepted', at(flight.acceptedAtMs, detail.originName)],
    ['received', at(flight.receivedAtMs, detail.ownerName)],
    ['started', at(flight.startedAtMs, detail.ownerName)],
    ['finished', at(flight.finishedAtMs, flight.verdictBy === 'origin' ? detail.originName : detail.ownerName)],
    ['delivery', delivery === undefined ? undefined : transport(delivery)],
    ['held until', isTerminal(flight.state) || flight.startedAtMs !== undefined ? undefined : localTime(flight.holdUntilMs)],
    ['run', flight.run > 1 ? String(flight.run) : undefined],
    ['waits for', flight.waiting === undefined ? undefined : `${flight.waiting.reason}: ${neutralise(flight.waiting.prompt)}`],
    ...(flight.waiting === undefined ? [] : commandsFor(flight.id, flight.waiting).map((command): [string, string] => ['', command])),
    ...isolationFacts(detail),
    ['redrive of', detail.invocation.redriveOf],
    ['exit code', flight.exitCode?.toString()],
    ['why', failure?.message ?? (flight.quarantinedAtMs === undefined ? undefined : 'held back: the store of its node was put back to an older state, and its origin is to be asked first')],
    ['output', `${flight.stdoutBytes} bytes${flight.prunedAtMs === undefined ? `: beckon flight output ${flight.id.slice(-6)}` : `, pruned ${localTime(flight.prunedAtMs)}`}`],
  ]);
  return exitOk;
}

function isolationFacts({ isolation, ownerName }: FlightDetail): [string, string][] {
  if (isolation === undefined) return [];
  const { head, branch, dirty, state, path } = isolation;
  const left = dirty === 0 ? '' : `; ${dirty} changed or untracked ${dirty === 1 ? 'file was' : 'files were'} not in it`;
  return [
    ['worktree', state === 'kept' ? `kept ${path === undefined ? `on ${ownerName}` : `at ${neutralise(path)}`}` : worktreeWords[state]],
    ['', `began at ${head.slice(0, 12)} on branch ${neutralise(branch)}${left}`],
  ];
}

const worktreeWords = { fetched: 'fetched', discarded: 'discarded', unchanged: 'removed: nothing was changed in it', gone: 'gone: not removed by Beckon' } as const;

function transport({ status, attempts, failureReason }: Delivery): string {
  // The owner is the origin: nothing was carried anywhere.
  if (attempts === 0 && status === 'received') return 'on the same node';
  return `${status} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}${failureReason === undefined ? '' : `: ${failureReason}`}`;
}

async function follow(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  checkId(id);
  const view = { quiet: flag(options, 'quiet'), raw: flag(options, 'raw'), onSignal: 'detach' } as const;
  return await withNode(context, async (client) => {
    const found = await flightOrGroup(client, id, () => watch(context, client, (signal) => client.follow(id, { signal }), view));
    return 'flight' in found ? found.flight : await watchGroup(context, client, { ...found.group, deduplicated: false }, view);
  });
}

async function output(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  checkId(id);
  const stream = (text(options, 'stream') ?? 'stdout') as OutputStream;
  return await withNode(context, async (client) => {
    const { flight: of } = await client.getFlight(id);
    if (out.isJson) {
      const pieces: Uint8Array[] = [];
      let total = 0;
      for await (const piece of client.output(of.id, stream)) {
        total += piece.length;
        if (total > mostDocumentBytes) throw invalid('the output is too large for one JSON document', 'leave --json away');
        pieces.push(piece);
      }
      const bytes = Buffer.concat(pieces);
      const content = bytesFields(bytes);
      await out.json({ stream, ...('text' in content ? { output: content.text } : content), ...prunedFields(of, stream, total) });
      return exitOk;
    }
    let total = 0;
    const harmless = host.tty.stdout && !flag(options, 'raw') ? new TerminalText() : undefined;
    for await (const piece of client.output(of.id, stream, { signal: out.readerGone })) {
      total += piece.length;
      await out.write(harmless?.push(piece) ?? piece);
    }
    if (harmless !== undefined) await out.write(harmless.end() + (harmless.endsLine ? '' : '\n'));
    if ('prunedAt' in prunedFields(of, stream, total)) out.note(`its output was pruned on this node at ${localTime(of.prunedAtMs ?? 0)}: ${total} of ${bytesOf(of, stream)} bytes are left`);
    return exitOk;
  });
}

/** Empty for output that is whole. */
function prunedFields(flight: Flight, stream: OutputStream, shownBytes: number): { prunedAt: string; truncated: true } | object {
  if (flight.prunedAtMs === undefined || shownBytes >= bytesOf(flight, stream)) return {};
  return { prunedAt: isoTime(flight.prunedAtMs), truncated: true };
}

function bytesOf(flight: Flight, stream: OutputStream): number {
  return stream === 'stdout' ? flight.stdoutBytes : flight.stderrBytes;
}

async function wait(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  checkId(id);
  const timeoutMs = number(options, 'timeout');
  const letGo = new AbortController();
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => letGo.abort());
  const cancelTimer = timeoutMs === undefined ? undefined : host.clock.setTimer(timeoutMs, () => letGo.abort());
  try {
    return await withNode(context, async (client) => {
      const found = await flightOrGroup(client, id, async () => {
        // No event is after this one, so that only the end is sent.
        for await (const update of client.follow(id, { afterSeq: Number.MAX_SAFE_INTEGER, signal: letGo.signal })) void update;
        return await client.getFlight(id);
      });
      if ('group' in found) return await waitForGroup(context, client, found.group, letGo.signal);
      const { flight: detail } = found;
      const { flight } = detail;
      if (out.isJson) await out.json(flightShowDocument(detail));
      else if (isTerminal(flight.state)) {
        await out.line(flight.state);
        tellFailure(out, flight);
      } else out.note(`it is still ${flight.state}: beckon flight follow ${flight.id.slice(-6)}`);
      return exitOfFlight(flight);
    });
  } finally {
    cancelTimer?.();
    release();
  }
}

async function cancel(context: Context, [id = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkId(id);
  return await withNode(context, async (client) => {
    const found = await flightOrGroup(client, id, () => client.cancelFlight(id, cancelWaitMs));
    return 'group' in found ? await cancelWholeGroup(context, client, found.group, cancelWaitMs) : await tellCancelled(out, found.flight);
  });
}

async function tellCancelled(out: Context['out'], { flight, confirmed }: Awaited<ReturnType<NodeClient['cancelFlight']>>): Promise<number> {
  if (out.isJson) await out.json({ flightId: flight.id, state: flight.state, confirmed, ended: flight.ended ?? 0 });
  else if (confirmed) await out.line(`${flight.id} is ${flight.state}${(flight.ended ?? 0) === 0 ? '' : `; processes ended: ${flight.ended}`}`);
  else out.note('not confirmed: its node has not answered yet; the request stands');
  return confirmed ? exitOk : exitStillGoing;
}
