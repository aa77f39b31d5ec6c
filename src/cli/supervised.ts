/** The node as the system's supervisor runs it: started by it, and looked at through it. */
import type { NodeStatus } from '../client/types.ts';
import { BrokerError, denied, unavailable } from '../domain/errors.ts';
import { pause, within } from '../domain/pause.ts';
import type { Entry, Supervised } from '../domain/supervision-port.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';

/** A start that migrates a large database, or waits for a tailnet, takes its time. */
const readyMs = 30_000;
const pollMs = 100;
/** A node that is well answers this at once. */
const statusMs = 5_000;

/** For commands to that node, which under sudo is another user's. */
export function contextOf(context: Context, { socketPath }: Entry): Context {
  return { ...context, host: Object.create(context.host, { socketPath: { value: () => socketPath } }) as Context['host'] };
}

/** Undefined when no node answers. */
export async function nodeStatus(context: Context): Promise<NodeStatus | undefined> {
  const asked = withNode(context, (client) => client.status()).catch((thrown: unknown) => {
    if (thrown instanceof BrokerError && thrown.code !== 'internal') return undefined;
    throw thrown;
  });
  return await within(context.host.clock, statusMs, asked);
}

/** @throws BrokerError `denied` when only root can start and stop it, and this is somebody else */
export function requireChange({ isChangeable, supervisor: { scope } }: Entry, command: string): void {
  if (!isChangeable) throw denied(`its ${scope} unit is root's to start and stop`, `sudo ${command}`);
}

/**
 * Has the supervisor start the node, and resolves when it answers, or undefined when it takes longer than half a minute.
 * @throws BrokerError `unavailable` with the reason that the node gave
 */
export async function startSupervised(context: Context, entry: Entry): Promise<NodeStatus | undefined> {
  const { supervisor } = entry;
  const { clock } = context.host;
  const until = clock.monotonic() + readyMs;
  const failed = await supervisor.start().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const there = contextOf(context, entry);
  for (;;) {
    const now = await supervisor.look();
    if (failed !== undefined || now.state === 'failed' || now.state === 'retrying' || now.state === 'stopped') throw await failureOf(entry, now, failed);
    const status = await nodeStatus(there);
    if (status !== undefined && status.pid === now.pid) return status;
    if (clock.monotonic() >= until) return undefined;
    await pause(clock, pollMs);
  }
}

async function failureOf({ supervisor }: Entry, { state, why }: Supervised, cause: unknown): Promise<BrokerError> {
  const said = await supervisor.lastWords();
  const at = said.findLastIndex((line) => line.startsWith('error: '));
  const reason = at < 0 ? undefined : said[at]?.slice('error: '.length);
  if (reason === undefined && cause instanceof BrokerError) return cause;
  const hint = said.slice(at).find((line) => line.startsWith('hint: '))?.slice('hint: '.length);
  const what = state === 'retrying' ? 'the node failed, and is tried again' : 'the node failed';
  const more = supervisor.kind === 'launchd' ? 'launchctl print says more' : `journalctl ${supervisor.scope === 'user' ? '--user ' : ''}-u beckon says more`;
  return unavailable(`${what}: ${reason ?? why ?? 'it gave no reason'}`, hint ?? more);
}
