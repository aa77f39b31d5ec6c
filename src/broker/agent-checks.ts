/** Whether an agent of this node can run: its directory, what its harness needs, a repository for `--isolate`. */
import type { Availability, Harness } from '../domain/harness-port.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Checkouts, Worktrees } from '../domain/worktree-port.ts';

export interface AgentChecksParts {
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly worktrees: Worktrees;
  readonly checkouts: Checkouts;
}

export interface Checked extends Availability {
  /** It will not come back by itself: what waits for it waits in vain. */
  readonly isGone?: boolean;
}

export class AgentChecks {
  readonly #parts: AgentChecksParts;

  constructor(parts: AgentChecksParts) {
    this.#parts = parts;
  }

  async check(endpoint: Endpoint): Promise<Checked> {
    const { harnesses, worktrees, checkouts } = this.#parts;
    const harness = harnesses.get(endpoint.harness);
    if (harness === undefined) return { available: false, why: `this version of Beckon has no harness ${endpoint.harness}` };
    const gone = endpoint.checkout === undefined ? undefined : await checkouts.gone(endpoint.checkout);
    if (gone !== undefined) return { available: false, why: gone, isGone: true };
    const checked = await harness.check(endpoint);
    return checked.available && endpoint.isolate ? worktrees.check(endpoint) : checked;
  }
}
