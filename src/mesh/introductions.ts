/**
 * "Dial me", passed on by a common member: only one of two nodes need be able to reach the other. Nothing is relayed but
 * the request; who answers a dial still proves who it is.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Session } from './session.ts';

/** The same request again within this is dropped, ms. */
const againAfterMs = 2_000;

export interface IntroductionsParts {
  readonly clock: Clock;
  readonly link: (nodeId: NodeId) => Session | undefined;
  readonly isMember: (nodeId: NodeId) => boolean;
  /** Even though there may be a link: that node has none. */
  readonly dial: (nodeId: NodeId, addresses: readonly string[]) => void;
}

export class Introductions {
  readonly #parts: IntroductionsParts;
  /** What was done lately, with its time: as many entries as pairs of links at most. */
  readonly #lately = new Map<string, number>();

  constructor(parts: IntroductionsParts) {
    this.#parts = parts;
  }

  /** `from` asks to be dialled by that node. One that is not linked here, or too old to understand, is not told. */
  introduce(from: Session, nodeId: NodeId): void {
    const target = this.#parts.link(nodeId);
    if (target === undefined || !target.can('introduce') || nodeId === from.peer.nodeId) return;
    if (this.#isNew(`${from.peer.nodeId} ${nodeId}`)) target.requestDial(from.peer.nodeId, from.hello?.addresses ?? []);
  }

  /** A member says that this node asks to be dialled. */
  dialRequest(nodeId: NodeId, addresses: readonly string[]): void {
    if (this.#parts.isMember(nodeId) && this.#isNew(nodeId)) this.#parts.dial(nodeId, addresses);
  }

  #isNew(what: string): boolean {
    const now = this.#parts.clock.monotonic();
    for (const [each, atMs] of this.#lately) if (now - atMs >= againAfterMs) this.#lately.delete(each);
    if (this.#lately.has(what)) return false;
    this.#lately.set(what, now);
    return true;
  }
}
