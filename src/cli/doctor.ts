/** Whether all is well with this machine's node, a line a check, with what to do next. */
import type { Command } from 'commander';
import type { NodeStatus } from '../client/types.ts';
import type { Check } from '../domain/checks.ts';
import { BrokerError } from '../domain/errors.ts';
import { within } from '../domain/pause.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk, exitWorkFailed } from './exit.ts';
import { refuseInFlight } from './in-flight.ts';
import { examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { rekeyIfCopy } from './rekey.ts';

/** A node that is well answers this at once. */
const statusMs = 5_000;

export function defineDoctor(program: Command, on: Register): void {
  on(
    program
      .command('doctor')
      .description('Check this machine, its node, and how other nodes see it; say what to do about what is wrong.')
      .option('--fix', 'put right what is safe to: modes of own files, a socket that was left behind; after a yes: the key of a copied machine')
      .option('--quick', 'only whether the node answers and can store, within seconds: for health checks')
      .option('--yes', 'with --fix: ask nothing')
      .option('--force', 'with --fix: end what runs here rather than wait for it')
      .addHelpText('after', examples('beckon doctor', 'beckon doctor --fix', 'beckon doctor --fix --yes', 'beckon doctor --json')),
    doctor,
  );
}

async function doctor(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { host } = context;
  if (flag(options, 'quick')) return await verdict(context, await quick(context));
  if (flag(options, 'fix')) refuseInFlight(context, 'puts nothing right on its own node');
  const rekeyed = flag(options, 'fix') ? await rekeyIfCopy(context, { isConfirmed: flag(options, 'yes'), force: flag(options, 'force') }) : undefined;
  if (typeof rekeyed === 'number') return rekeyed;
  const status = await statusOf(context);
  const isRunning = status !== undefined && !(status instanceof BrokerError);
  const here = await host.examine({ fix: flag(options, 'fix'), isRunning });
  const checks = [...(rekeyed === undefined ? [] : [rekeyed]), ...here, ...(status === undefined ? [] : status instanceof BrokerError ? [] : [nodeCheck(status), ...(await nodes(context))])];
  return await verdict(context, checks);
}

async function verdict(context: Context, checks: readonly Check[]): Promise<number> {
  if (context.out.isJson) await context.out.json({ checks });
  else await show(context, checks);
  return checks.every(({ ok }) => ok) ? exitOk : exitWorkFailed;
}

async function quick(context: Context): Promise<readonly Check[]> {
  const status = await statusOf(context);
  const node: Check =
    status === undefined || status instanceof BrokerError
      ? { id: 'node', ok: false, detail: status?.message ?? `the node did not answer within ${statusMs / 1000} s`, hint: status?.hint ?? 'its log says what it does' }
      : nodeCheck(status);
  return [node, ...(await context.host.examine({ fix: false, isRunning: node.ok, quick: true }))];
}

/** Undefined or an error: no node answers. */
async function statusOf(context: Context): Promise<NodeStatus | BrokerError | undefined> {
  const asked = withNode(context, (client) => client.status()).catch((thrown: unknown) => {
    if (thrown instanceof BrokerError && thrown.code !== 'internal') return thrown;
    throw thrown;
  });
  return await within(context.host.clock, statusMs, asked);
}

function nodeCheck({ name, version, draining }: NodeStatus): Check {
  const detail = `${name} runs Beckon ${version}`;
  return draining ? { id: 'node', ok: false, detail: `${detail} and is going down: it takes no new work`, hint: 'start it again: beckon restart' } : { id: 'node', ok: true, detail, hint: '' };
}

async function nodes(context: Context): Promise<readonly Check[]> {
  try {
    return await withNode(context, (client) => client.diagnose());
  } catch (thrown) {
    if (!(thrown instanceof BrokerError)) throw thrown;
    return [{ id: 'checks', ok: false, detail: `the node could not check itself: ${thrown.message}`, hint: thrown.hint ?? '' }];
  }
}

async function show({ out }: Context, checks: readonly Check[]): Promise<void> {
  const width = Math.max(...checks.map(({ id }) => id.length));
  const { green, red, dim } = out.colours;
  for (const { id, ok, detail, hint, fixed = [] } of checks) {
    const indent = ' '.repeat(width + 6);
    await out.line(`${ok ? green('ok  ') : red('FAIL')}  ${id.padEnd(width)}  ${neutralise(detail).replaceAll('\n', ' ')}`);
    for (const done of fixed) await out.line(`${indent}${green('fixed:')} ${neutralise(done)}`);
    if (hint !== '') await out.line(`${indent}${dim('next:')} ${neutralise(hint)}`);
  }
  const wrong = checks.filter(({ ok }) => !ok).length;
  out.note(wrong === 0 ? 'all is well' : `${wrong} of ${checks.length} checks failed`);
}
