/** Transport: deliveries; delivery show, redrive. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import { deliveryStates } from '../domain/delivery.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import type { Delivery } from '../domain/records.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { tellAccepted } from './flight-view.ts';
import { attemptDocument, deliveryDocument } from './json.ts';
import { nodeNames } from './names.ts';
import { addPaging, checkId, choice, examples, flag, pageOf, parsed, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { localTime, relativeTime } from './output.ts';
import { checkSince, sinceMs } from './since.ts';
import { facts, table } from './table.ts';

export function defineDeliveries(program: Command, on: Register): void {
  on(
    addPaging(
      program
        .command('deliveries')
        .description('List how invocations were carried to their agents, newest first.')
        .addOption(choice('--status <s>', 'only those in this state', deliveryStates))
        .addOption(parsed('--invocation <invocation>', 'only those of this invocation', checkId))
        .addOption(parsed('--since <t>', 'only those made since a time, or in the last so long', checkSince))
        .option('--node <node>', 'ask that node'),
    ).addHelpText('after', examples('beckon deliveries', 'beckon deliveries --status deferred', 'beckon deliveries --since 1h --json')),
    deliveries,
  );
  const delivery = program.command('delivery').description('One delivery: the transport of one invocation.').addHelpText('after', examples('beckon delivery show last'));
  on(
    delivery
      .command('show')
      .argument('<id>', 'an id of the delivery or its invocation, 4 or more last characters of one, or last')
      .description('Show a delivery and each attempt.')
      .addHelpText('after', examples('beckon delivery show last', 'beckon delivery show 8Q2X --json')),
    show,
  );
  on(
    delivery
      .command('redrive')
      .argument('<id>', 'an id of the delivery or its invocation, 4 or more last characters of one, or last')
      .option('--yes', 'even though it may have run')
      .description('Make a new invocation of one that came to nothing: same task, files, session and agent. Print its id.')
      .addHelpText('after', examples('beckon deliveries --status dead', 'beckon delivery redrive 8Q2X')),
    redrive,
  );
}

async function redrive(context: Context, [id = '']: readonly string[], options: OptionValues): Promise<number> {
  checkId(id);
  await tellAccepted(context.out, await withNode(context, (client) => client.redriveDelivery(id, flag(options, 'yes'))));
  return exitOk;
}

async function deliveries(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const [status, invocation] = [text(options, 'status') as DeliveryState | undefined, text(options, 'invocation')];
  const [node, since] = [text(options, 'node'), text(options, 'since')];
  const filter = {
    ...(status === undefined ? {} : { status }),
    ...(invocation === undefined ? {} : { invocation }),
    ...(node === undefined ? {} : { node }),
    ...(since === undefined ? {} : { sinceMs: sinceMs(since, host.clock.now()) }),
  };
  const { page, names } = await withNode(context, async (client) => ({ page: await client.listDeliveries(filter, pageOf(options)), names: await nodeNames(client) }));
  if (out.isJson) {
    await out.json({ deliveries: page.items.map((each) => deliveryDocument(each, names)), ...(page.next === undefined ? {} : { next: page.next }) });
    return exitOk;
  }
  if (page.items.length === 0) {
    out.note(status === undefined && invocation === undefined && since === undefined ? 'no deliveries yet: make one with beckon invoke ADDRESS "what to do"' : 'no deliveries match');
    return exitOk;
  }
  const nowMs = host.clock.now();
  await table(
    out,
    ['delivery', 'status', 'from', 'target', 'attempts', 'updated', 'why'],
    page.items.map((each) => [
      each.id,
      paintState(out.colours, each.status),
      names[each.fromNodeId] ?? `${each.fromNodeId.slice(0, 12)}…`,
      each.target,
      String(each.attempts),
      relativeTime(each.updatedAtMs, nowMs, formatDuration),
      whyOf(each),
    ]),
  );
  if (page.next !== undefined) out.note(out.dim(`more: --after ${page.next}`));
  return exitOk;
}

async function show(context: Context, [id = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkId(id);
  const { delivery, attempts, names } = await withNode(context, async (client) => ({ ...(await client.getDelivery(id)), names: await nodeNames(client) }));
  if (out.isJson) {
    await out.json({ delivery: deliveryDocument(delivery, names), attempts: attempts.map(attemptDocument) });
    return exitOk;
  }
  await facts(out, [
    ['delivery', delivery.id],
    ['invocation', delivery.invocationId],
    ['status', delivery.status],
    ['from', names[delivery.fromNodeId] ?? delivery.fromNodeId],
    ['to', names[delivery.toNodeId] ?? delivery.toNodeId],
    ['target', delivery.target],
    ['made', localTime(delivery.createdAtMs)],
    ['updated', localTime(delivery.updatedAtMs)],
    ['received', delivery.receivedAtMs === undefined ? 'not yet' : localTime(delivery.receivedAtMs)],
    ['why', whyOf(delivery)],
  ]);
  if (attempts.length === 0) return exitOk;
  await out.line();
  await table(
    out,
    ['attempt', 'started', 'ended', 'outcome', 'why'],
    attempts.map((attempt) => [
      String(attempt.number),
      localTime(attempt.startedAtMs),
      attempt.endedAtMs === undefined ? '-' : localTime(attempt.endedAtMs),
      attempt.outcome ?? 'under way',
      attempt.why ?? '',
    ]),
  );
  return exitOk;
}

function whyOf({ failureReason, failureDetail }: Pick<Delivery, 'failureReason' | 'failureDetail'>): string {
  return [failureReason, failureDetail].filter((part) => part !== undefined && part !== '').join(': ');
}
