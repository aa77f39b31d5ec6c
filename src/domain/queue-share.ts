/** Who finds a place in an agent's queue. */

/** Waiting for one agent, at most, unless its registration says otherwise. */
export const usualQueueLimit = 10_000;
/** Waiting at their origin for one other node, at most, unless its person says otherwise. */
export const usualHeldLimit = 10_000;
/** What a registration may say. */
export const mostQueued = 1_000_000;

export interface QueueFill {
  /** Invocations that wait for the agent. */
  readonly waiting: number;
  /** Those of them that came from the node in question. */
  readonly mine: number;
  readonly limit: number;
}

/**
 * Whoever comes first may fill the whole queue. A tenth more is kept for nodes that have next to nothing in it (a
 * hundredth of the limit), so that one which floods the agent does not shut the others out.
 */
export function hasPlace({ waiting, mine, limit }: QueueFill): boolean {
  if (waiting < limit) return true;
  return waiting < limit + Math.floor(limit / 10) && mine < Math.max(1, Math.floor(limit / 100));
}
