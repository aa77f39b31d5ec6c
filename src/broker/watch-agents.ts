/**
 * The agents as a stream for one reader: all of them, then what has changed since it was last told. What happened in
 * between is never queued: whenever the reader wants more it is told the newest, so that a slow one costs no memory.
 */
import type { AgentFilter } from '../domain/agent-filter.ts';
import type { Clock } from '../domain/ports.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { AgentsUpdate, AgentView, GoneAgent } from './api.ts';
import { WakeablePause } from './wakeable-pause.ts';

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
  let told: ReadonlyMap<string, Told> | undefined;
  let dueMs = clock.monotonic();
  let notBeforeMs = dueMs;
  const pause = new WakeablePause(clock, signal);
  const onChange = (): void => {
    dueMs = notBeforeMs;
    pause.wake();
  };
  const stops = [registry.onChange(onChange), mesh.onPeer(onChange)];
  try {
    while (!signal.aborted) {
      const beganMs = clock.monotonic();
      if (beganMs < dueMs) {
        await pause.wait(dueMs - beganMs);
        continue;
      }
      const now = new Map(views.all(filter).map((view) => [keyOf(view), { view, facts: factsOf(view) }]));
      const agents = [...now].flatMap(([key, { view, facts }]) => (told?.get(key)?.facts === facts ? [] : [view]));
      const gone = [...(told ?? [])].flatMap(([key, { nodeId, address }]) => (now.has(key) ? [] : [{ nodeId, address }]));
      const isFirst = told === undefined;
      told = new Map([...now].map(([key, { view, facts }]) => [key, { nodeId: view.registration.nodeId, address: view.registration.address, facts }]));
      const endedMs = clock.monotonic();
      notBeforeMs = endedMs + Math.max(restMs, restPerWork * (endedMs - beganMs));
      dueMs = Math.max(notBeforeMs, endedMs + refreshMs);
      if (isFirst || agents.length + gone.length > 0) yield { atMs: clock.now(), agents, gone };
    }
  } finally {
    for (const stop of stops) stop();
  }
}

interface Told extends GoneAgent {
  readonly facts: string;
}

const keyOf = ({ registration: { nodeId, address } }: AgentView): string => `${nodeId} ${address}`;

/** Without what goes on by itself: a node that is alive was heard a moment ago, always. */
function factsOf(view: AgentView): string {
  const { lastSeenMs, presence, ...rest } = view;
  return JSON.stringify([rest, presence?.running, presence?.queued, view.state === 'here' || view.state === 'alive' ? undefined : lastSeenMs]);
}
