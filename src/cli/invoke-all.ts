/** `invoke --all`: one request to every agent that matches. */
import { BrokerError, invalid } from '../domain/errors.ts';
import { unaskedTargets } from '../domain/group.ts';
import { neutralise } from '../domain/text.ts';
import type { AcceptedGroup, InvokeRequest, NodeClient } from '../client/types.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import type { ViewOptions } from './flight-view.ts';
import { groupFields, watchGroup } from './group-watch.ts';
import type { InterruptOptions } from './interrupts.ts';

export interface AllOptions extends ViewOptions, InterruptOptions {
  /** However many match. */
  readonly yes: boolean;
}

export async function invokeAll(context: Context, client: NodeClient, request: InvokeRequest, options: AllOptions): Promise<number> {
  const group = await accepted(context, client, request, options.yes);
  if (request.detach !== true) return await watchGroup(context, client, group, options);
  const { out } = context;
  if (!out.isJson) {
    if (!options.quiet) for (const { target } of group.flights) out.note(out.dim(target));
    for (const note of group.notes ?? []) out.note(`${out.noteColours.yellow('warning:')} ${neutralise(note)}`);
    await out.line(group.groupId);
    return exitOk;
  }
  await out.event('group', groupFields(group), group.flights[0]?.acceptedAtMs);
  for (const { invocationId, id: flightId, target, acceptedAtMs } of group.flights) {
    await out.event('accepted', { invocationId, flightId, target, deduplicated: group.deduplicated }, acceptedAtMs);
  }
  return exitOk;
}

/** Above 5 a person is asked, and what they said yes to is what is called. */
async function accepted(context: Context, client: NodeClient, request: InvokeRequest, yes: boolean): Promise<AcceptedGroup> {
  try {
    return await client.invokeAll({ ...request, confirmed: yes });
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || thrown.code !== 'invalid' || thrown.detail?.['matches'] === undefined) throw thrown;
    const { targets, error } = await client.resolve(request.selector);
    if (error !== undefined || targets.length <= unaskedTargets) throw thrown;
    const { readKey } = context.host;
    if (readKey === undefined || context.out.isJson) {
      throw new BrokerError('invalid', `${targets.length} agents match, and without a terminal more than ${unaskedTargets} are called only with --yes`, {
        hint: 'if you mean all of them: --yes; else choose among them with --harness, --cap or --label',
        candidates: targets.map((address) => ({ address })),
      });
    }
    if (!(await isAgreed(context, readKey, targets))) throw new BrokerError('cancelled', 'nothing was invoked');
    return await client.invokeAll({ ...request, confirmed: false, expected: targets });
  }
}

async function isAgreed({ host, out }: Context, readKey: NonNullable<Context['host']['readKey']>, targets: readonly string[]): Promise<boolean> {
  const { bold } = out.noteColours;
  for (const target of targets) out.note(`  ${target}`);
  const gone = new AbortController();
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => gone.abort());
  host.stderr.write(`invoke all ${targets.length}? (${bold('y')})es or (${bold('n')})o `);
  try {
    const key = await readKey(gone.signal);
    const isYes = key?.toLowerCase() === 'y';
    host.stderr.write(`${isYes ? 'yes' : 'no'}\n`);
    return isYes;
  } finally {
    release();
  }
}

/** What has no meaning for several, said before anything is asked of the node. */
export function checkAll(options: { readonly any: boolean; readonly yes: boolean; readonly all: boolean }): void {
  if (options.yes && !options.all) throw invalid('--yes goes with --all', 'leave it out, or give --all');
  if (options.any && options.all) throw invalid('--any chooses one and --all chooses every match', 'give one of them');
}
