/** `down`: asks the node to stop and waits until nothing of it is left. */
import { BrokerError } from '../domain/errors.ts';
import { pause } from '../domain/pause.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk, exitStillGoing } from './exit.ts';

export interface DownOptions {
  readonly force: boolean;
  readonly timeoutMs?: number | undefined;
}

const defaultTimeoutMs = 60_000;
const pollMs = 30;

interface Drained {
  readonly stopped: boolean;
  readonly pid: number;
  readonly running: number;
}

/** @throws BrokerError `unavailable` when no node runs here */
export async function down(context: Context, options: DownOptions): Promise<number> {
  const { out } = context;
  const drained = await drain(context, options);
  if (!drained.stopped) return await tellDraining(context, drained);
  if (out.isJson) await out.json({ stopped: true, pid: drained.pid });
  else out.note('the node has stopped');
  return exitOk;
}

/** The same without a word, where a node that does not run is as good. */
export async function stopIfRunning(context: Context, options: DownOptions): Promise<number> {
  try {
    const drained = await drain(context, options);
    return drained.stopped ? exitOk : await tellDraining(context, drained);
  } catch (thrown) {
    if (thrown instanceof BrokerError && thrown.code === 'unavailable') return exitOk;
    throw thrown;
  }
}

async function drain(context: Context, { force, timeoutMs = defaultTimeoutMs }: DownOptions): Promise<Drained> {
  const { host, out } = context;
  const { pid, running } = await withNode(context, (client) => client.shutdown(force));
  if (running > 0 && !force && !out.isJson) out.note(`waiting for ${running} running ${running === 1 ? 'flight' : 'flights'}`);
  const until = host.clock.monotonic() + timeoutMs;
  let isLeft = false;
  const release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], () => {
    isLeft = true;
  });
  try {
    while (host.node.isAlive(pid) || host.node.hasSocket()) {
      if (isLeft || host.clock.monotonic() >= until) return { stopped: false, pid, running };
      await pause(host.clock, pollMs);
    }
    return { stopped: true, pid, running };
  } finally {
    release();
  }
}

async function tellDraining({ out }: Context, { pid, running }: Drained): Promise<number> {
  if (out.isJson) {
    await out.json({ stopped: false, pid, running });
    return exitStillGoing;
  }
  out.note('the node still drains, and goes on');
  out.note(`${out.noteColours.cyan('hint:')} look: beckon status; end what runs: beckon down --force`);
  return exitStillGoing;
}
