/** Round trips to another node, each as it comes, and what they come to. */
import type { Command } from 'commander';
import type { NodeClient } from '../client/types.ts';
import { BrokerError } from '../domain/errors.ts';
import { parseNodeRef } from '../domain/name.ts';
import { pause } from '../domain/pause.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOfError, exitOk } from './exit.ts';
import { errorDocument } from './json.ts';
import { examples, number, parsed, wholeNumber } from './options.ts';
import type { OptionValues, Register } from './options.ts';

const betweenMs = 1_000;
const usualCount = 3;

export function definePing(program: Command, on: Register): void {
  on(
    program
      .command('ping')
      .argument('<node>', 'name or id')
      .description('Ask a node for an answer, over the link that work takes; say how long each took, and in all.')
      .addOption(parsed('-c, --count <n>', `how often (${usualCount} times by default)`, wholeNumber(1, 1000)))
      .addHelpText('after', examples('beckon ping laptop', 'beckon ping laptop -c 1')),
    async (context, [node = ''], options) => await ping(context, node, options),
  );
}

interface Tally {
  sent: number;
  readonly tripsMs: number[];
  last: BrokerError | undefined;
}

/** Exits 0 when at least one was answered, else 4. @throws BrokerError when there is no such node */
async function ping(context: Context, node: string, options: OptionValues): Promise<number> {
  const { host } = context;
  parseNodeRef(node);
  const count = number(options, 'count') ?? usualCount;
  const tally: Tally = { sent: 0, tripsMs: [], last: undefined };
  const letGo = new AbortController();
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => letGo.abort());
  const gone = new Promise<void>((resolve) => letGo.signal.addEventListener('abort', () => resolve()));
  try {
    await withNode(context, async (client) => {
      for (let turn = 0; turn < count && !letGo.signal.aborted; turn += 1) {
        if (turn > 0) await Promise.race([pause(host.clock, betweenMs), gone]);
        if (!letGo.signal.aborted) await Promise.race([once(context, client, node, tally), gone]);
      }
    });
  } finally {
    release();
  }
  await summary(context, node, tally);
  return tally.tripsMs.length > 0 || tally.last === undefined ? exitOk : exitOfError('unavailable');
}

async function once({ out }: Context, client: NodeClient, node: string, tally: Tally): Promise<void> {
  tally.sent += 1;
  const seq = tally.sent;
  try {
    const { name, nodeId, address, rttMs } = await client.ping(node);
    tally.tripsMs.push(rttMs);
    if (out.isJson) await out.event('pong', { seq, node: name, nodeId, address, rttMs });
    else await out.line(neutralise(`${name} (${address}) answered in ${ms(rttMs)}`));
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || (thrown.code !== 'unavailable' && thrown.code !== 'deadline')) throw thrown;
    tally.last = thrown;
    if (out.isJson) await out.event('lost', { seq, node, error: errorDocument(thrown) });
    else out.error(thrown);
  }
}

async function summary({ out }: Context, node: string, { sent, tripsMs }: Tally): Promise<void> {
  const answered = tripsMs.length;
  const trips = answered === 0 ? undefined : { minMs: Math.min(...tripsMs), meanMs: tripsMs.reduce((sum, each) => sum + each, 0) / answered, maxMs: Math.max(...tripsMs) };
  if (out.isJson) return await out.event('summary', { node, sent, answered, ...trips });
  if (trips === undefined) return await out.line(`${sent} sent, none answered`);
  await out.line(`${sent} sent, ${answered} answered; least ${ms(trips.minMs)}, mean ${ms(trips.meanMs)}, most ${ms(trips.maxMs)}`);
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
