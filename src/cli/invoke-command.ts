/** `invoke`. */
import type { Command } from 'commander';
import { invalid } from '../domain/errors.ts';
import { checkKey } from '../domain/invocation.ts';
import type { SessionChoice } from '../domain/invocation.ts';
import { parseTraceContext, traceIn } from '../domain/trace-context.ts';
import type { InvokeRequest, NodeClient } from '../client/types.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { tellAccepted } from './flight-view.ts';
import type { OnSignal } from './interrupts.ts';
import { checkAll, invokeAll } from './invoke-all.ts';
import { checkAddress, choice, duration, examples, flag, list, number, parsed, repeated, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { addSelectors, selectorOf } from './selector.ts';
import { readTask } from './task.ts';
import { watch } from './watch.ts';

export function defineInvoke(program: Command, on: Register): void {
  const command = program
    .command('invoke')
    .usage('ADDRESS [TASK|-] [options]')
    .argument('<address>', 'such as fabric@laptop/main; . is the agent of this directory')
    .argument('[task...]', 'what to do, as one argument; - or nothing: stdin')
    .description('Have an agent do something, and show its answer as it comes.')
    .addOption(repeated('-f, --file <file>', 'send this file along; - is stdin; may be given again'))
    .addOption(parsed('--key <k>', 'accept only once for this key; again: follow the first', checkKey))
    .option('--continue', "go on in the agent's last session")
    .option('--session <session>', 'go on in this session')
    .addOption(duration('--hold <duration>', 'how long it may wait to be started (24h by default)'))
    .option('--no-hold', 'fail at once when the node of the agent is not reachable')
    .addOption(duration('--run-limit <duration>', 'end it when it has run so long'))
    .addOption(duration('--idle-limit <duration>', 'end it when it has printed nothing for so long'))
    .option('--rerunnable', 'run it again by itself if its node dies in the middle')
    .option('--notify', 'tell me when it waits for me and when it has finished')
    .option('--detach', 'print the invocation id and leave')
    .addOption(choice('--on-signal <what>', 'what INT and TERM do, without asking', ['cancel', 'detach']))
    .option('-q, --quiet', 'only the answer, and errors')
    .option('--raw', 'pass control sequences to the terminal');
  on(
    addSelectors(command, { all: true })
      .option('--yes', 'with --all: also when more than 5 match, without asking')
      .addHelpText(
      'after',
      examples('beckon invoke fabric@laptop/main "run the tests"', 'git diff | beckon invoke reviewer "review this" -f -', 'beckon invoke . --detach < task.md', 'beckon invoke --all tests "npm test"') +
        '\nIt exits as the work ended: 0 completed, 1 the agent failed, 7 cancelled, 8 expired, 9 indeterminate, 10 let go; with --all as the worst of them did: 9, 1, 8, 7, 10, in this order.\n',
    ),
    invoke,
  );
}

async function invoke(context: Context, [address = '', ...words]: readonly string[], options: OptionValues): Promise<number> {
  checkAddress(address);
  const all = { all: flag(options, 'all'), any: flag(options, 'any'), yes: flag(options, 'yes') };
  checkAll(all);
  const session = sessionOf(options);
  const task = await readTask(context, address, words, list(options, 'file'));
  const key = text(options, 'key');
  const holdMs = typeof options['hold'] === 'number' ? options['hold'] : undefined;
  const runLimitMs = number(options, 'runLimit');
  const idleLimitMs = number(options, 'idleLimit');
  const around = traceIn(context.host.env);
  const trace = around === undefined ? undefined : parseTraceContext(around);
  const request: InvokeRequest = {
    selector: selectorOf(context, address, options),
    task,
    session,
    noHold: options['hold'] === false,
    rerunnable: flag(options, 'rerunnable'),
    detach: flag(options, 'detach'),
    notify: flag(options, 'notify'),
    ...(key === undefined ? {} : { key }),
    ...(holdMs === undefined ? {} : { holdMs }),
    ...(runLimitMs === undefined ? {} : { runLimitMs }),
    ...(idleLimitMs === undefined ? {} : { idleLimitMs }),
    ...(trace === undefined ? {} : { trace }),
  };
  const quiet = flag(options, 'quiet');
  const onSignal = text(options, 'onSignal') as OnSignal | undefined;
  return await withNode(context, async (client) => {
    if (all.all) return await invokeAll(context, client, request, { quiet, raw: flag(options, 'raw'), onSignal, yes: all.yes });
    if (request.detach === true) return await detached(context, client, request, quiet);
    return await watch(context, client, (signal) => client.invoke(request, { signal }), { quiet, raw: flag(options, 'raw'), onSignal });
  });
}

async function detached({ out }: Context, client: NodeClient, request: InvokeRequest, quiet: boolean): Promise<number> {
  for await (const update of client.invoke(request)) {
    if (update.type !== 'accepted') continue;
    await tellAccepted(out, update, quiet);
  }
  return exitOk;
}

function sessionOf(options: OptionValues): SessionChoice {
  const name = text(options, 'session');
  const goesOn = flag(options, 'continue');
  if (name !== undefined && goesOn) throw invalid('--continue and --session exclude each other', 'give one of them');
  if (name === '') throw invalid('--session: the id is empty');
  return name !== undefined ? { mode: 'named', name } : goesOn ? { mode: 'continue' } : { mode: 'new' };
}
