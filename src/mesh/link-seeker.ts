/** Looks for a peer that somebody waits for: the one way by which a link is asked for beside the dialler's own pace. */
import type { NodeId } from '../domain/ids.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { Detector } from './detector.ts';
import type { Dialler } from './dialler.ts';
import type { LinkDemand } from './link-demand.ts';
import { LinkWaiters } from './link-waiters.ts';

/** When a peer comes back, all that are away and missed are looked for, this often at most. */
const lookAgainMs = 10_000;

export interface LinkSeekerParts {
  readonly clock: Clock;
  readonly dialler: Dialler;
  readonly demand: LinkDemand;
  readonly detector: Detector;
  readonly isLinked: (nodeId: NodeId) => boolean;
  /** No node has a link with this one. */
  readonly isAlone: () => boolean;
}

export class LinkSeeker {
  readonly #parts: LinkSeekerParts;
  readonly #waiters: LinkWaiters;
  /** Nodes that asked to be dialled, and so have no session, whatever this side believes; and those that are looked at. */
  readonly #askedToDial = new Set<NodeId>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: LinkSeekerParts) {
    this.#parts = parts;
    this.#waiters = new LinkWaiters(parts.clock);
  }

  /** That node is being dialled, whether a link with it is needed or not. */
  isAsked(nodeId: NodeId): boolean {
    return this.#askedToDial.has(nodeId);
  }

  linked(nodeId: NodeId): void {
    this.#waiters.linked(nodeId);
  }

  /** One try, if that node is one that most likely answers; one that does not is looked for in earnest from now on. */
  async want(nodeId: NodeId): Promise<void> {
    if (this.#ask(nodeId) && !this.#parts.isLinked(nodeId)) await this.#parts.dialler.dialNow(nodeId);
  }

  /** One try, to see whether a node is there that no link was needed with: it asks for no link beyond that. */
  async look(nodeId: NodeId): Promise<void> {
    if (this.#parts.isLinked(nodeId) || !this.#parts.demand.rests(nodeId)) return;
    await this.#dialOnce(nodeId);
  }

  /** By every way at once. Resolves when there is a link, when the time is over or when there is nothing left to try. */
  async seek(nodeId: NodeId, timeoutMs: number): Promise<void> {
    const { dialler, detector, isLinked, isAlone } = this.#parts;
    const isLikely = this.#ask(nodeId);
    if (isLinked(nodeId)) return;
    // Alone there is only one way, and it is over when its tries are.
    const help = (): void => {
      if (!isAlone() && !isLinked(nodeId)) detector.help(nodeId);
    };
    const tried = dialler.dialNow(nodeId);
    // One that nobody needed until now is most likely there.
    if (isLikely) void tried.then(help);
    else help();
    await this.#waiters.wait(nodeId, timeoutMs, tried, () => isLinked(nodeId) || isAlone());
  }

  /** That node asks to be dialled there. */
  dialAsked(nodeId: NodeId, addresses: readonly string[]): void {
    if (this.#askedToDial.has(nodeId)) return;
    this.#parts.dialler.hint(nodeId, addresses);
    void this.#dialOnce(nodeId);
  }

  async #dialOnce(nodeId: NodeId): Promise<void> {
    this.#askedToDial.add(nodeId);
    await this.#parts.dialler.dialNow(nodeId);
    this.#askedToDial.delete(nodeId);
  }

  /** One that was away is back: so may be others, or this node itself. */
  lookForOthers(peers: readonly Pick<PeerView, 'nodeId' | 'state'>[]): void {
    const { clock, demand, dialler } = this.#parts;
    const now = clock.monotonic();
    if (now - this.#lookedAtMs < lookAgainMs) return;
    this.#lookedAtMs = now;
    for (const { nodeId, state } of peers) if ((state === 'unreachable' || state === 'suspect') && demand.needs(nodeId)) dialler.wake(nodeId);
  }

  /** @returns whether it is one that most likely answers */
  #ask(nodeId: NodeId): boolean {
    const { demand, dialler, isLinked } = this.#parts;
    const isLikely = demand.rests(nodeId);
    const wasNeeded = demand.needs(nodeId);
    demand.ask(nodeId);
    if (!isLikely && !wasNeeded && !isLinked(nodeId)) dialler.wake(nodeId);
    return isLikely;
  }
}
