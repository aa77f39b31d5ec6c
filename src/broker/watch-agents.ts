/**
 * The agents as a stream for one reader: all of them, then what has changed since it was last told. What happened in
 * between is never queued: whenever the reader wants more it is told the newest, so that a slow one costs no memory.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AgentFilter } from '../domain/agent-filter.ts';
import type { Clock } from '../domain/ports.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { AgentsUpdate, AgentView } from './api.ts';

/** Between two updates, ms. */
const restMs = 250;
/** Of the time at most one tenth is spent on looking, however many agents there are. */
const restPerWork = 9;
/** How often it is looked without being told of a change, ms: what is known of a node also changes by growing old. */
const refreshMs = 2_000;

export interface WatchAgentsParts {
  readonly views: { all(filter: AgentFilter): readonly AgentView[] };
  readonly registry: { onChange(listen: () => void): () => void };
  readonly mesh: Pick<Mesh, 'onPeer'>;
  readonly clock: Clock;
}

/** Ends when `signal` aborts. @throws BrokerError when the filter names no node */
export async function* watchAgents({ views, registry, mesh, clock }: WatchAgentsParts, filter: AgentFilter, signal: AbortSignal): AsyncGenerator<AgentsUpdate> {
  let told: ReadonlyMap<string, AgentView> | undefined;
  let dueMs = clock.monotonic();
  let notBeforeMs = dueMs;
  let wake = (): void => undefined;
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancelTimer = clock.setTimer(ms, done);
      signal.addEventListener('abort', done);
      wake = done;
    });
  const onChange = (): void => {
    dueMs = notBeforeMs;
    wake();
  };
  const stops = [registry.onChange(onChange), mesh.onPeer(onChange)];
  try {
    while (!signal.aborted) {
      const beganMs = clock.monotonic();
      if (beganMs < dueMs) {
        await pause(dueMs - beganMs);
        continue;
      }
      const now = new Map(views.all(filter).map((view) => [view.registration.address, view]));
      const update = { atMs: clock.now(), ...difference(told ?? new Map<string, AgentView>(), now) };
      const isFirst = told === undefined;
      told = now;
      const endedMs = clock.monotonic();
      notBeforeMs = endedMs + Math.max(restMs, restPerWork * (endedMs - beganMs));
      dueMs = Math.max(notBeforeMs, endedMs + refreshMs);
      if (isFirst || update.agents.length + update.gone.length > 0) yield update;
    }
  } finally {
    for (const stop of stops) stop();
  }
}

function difference(before: ReadonlyMap<string, AgentView>, now: ReadonlyMap<string, AgentView>): Pick<AgentsUpdate, 'agents' | 'gone'> {
  const agents = [...now].flatMap(([address, view]) => {
    const known = before.get(address);
    return known !== undefined && isDeepStrictEqual(lasting(known), lasting(view)) ? [] : [view];
  });
  return { agents, gone: [...before.keys()].filter((address) => !now.has(address)) };
}

/** Without what goes on by itself: a node that is alive was heard a moment ago, always. */
function lasting(view: AgentView): AgentView {
  if (view.state !== 'here' && view.state !== 'alive') return view;
  const { lastSeenMs: _runsOn, ...rest } = view;
  return rest;
}
