/**
 * Keeps trying the addresses that nodes may be found at: seeds, members' own, by hand. Each address has its own
 * backoff; one whose node has a live link rests. A failure is told once per change of its reason.
 */
import { backoff } from '../domain/backoff.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { CancelTimer, Clock, Random } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { faultOf } from './dial-fault.ts';
import type { DialFault } from './dial-fault.ts';

/** Dials under way at once. */
const mostDials = 16;
/** Addresses remembered of one node. */
const mostAddresses = 16;
const baseMs = 500;
/**
 * The longest wait between two tries. A node that was here within the hour must be found within 5 s of being back:
 * a try that began just before may take its whole 3 s, so 2 s are left. Seeds are few and typed by hand.
 */
const capMs = { recent: 2_000, seed: 5_000, other: 15_000 } as const;
const recentMs = 3_600_000;
/** A node without any link tries about one address in this time, however long nobody was seen: it is the one that was away. */
const aloneMs = 500;
/** Tries that were woken together are spread over this. */
const spreadMs = 100;

export type DialResult =
  | { readonly kind: 'up'; readonly peer: PeerIdentity }
  /** Another session with that node is there or on its way. */
  | { readonly kind: 'linked'; readonly peer: PeerIdentity }
  | { readonly kind: 'self' };

export interface DiallerParts {
  readonly clock: Clock;
  readonly random: Random;
  /** @throws BrokerError, whose message says why it failed */
  readonly dial: (address: string) => Promise<DialResult>;
  readonly isLinked: (nodeId: NodeId) => boolean;
  /** Wall clock, ms. */
  readonly lastSeenMs: (nodeId: NodeId) => number | undefined;
  /** No node has a link with this one. */
  readonly isAlone: () => boolean;
  /** A reason that is new for this address. */
  readonly onFailure: (target: TargetView, error: BrokerError) => void;
}

export interface TargetView {
  readonly address: string;
  readonly isSeed: boolean;
  /** Who should be there, or was. */
  readonly nodes: readonly NodeId[];
  readonly why: string;
  readonly sinceMs: number;
  /** Since it last answered, or was woken. */
  readonly failures: number;
  /** Of the last failure. */
  readonly fault: DialFault | undefined;
  readonly isSelf: boolean;
}

interface Target {
  readonly address: string;
  isSeed: boolean;
  /** Nodes that say they listen here. */
  readonly claimedBy: Set<NodeId>;
  answeredBy: NodeId | undefined;
  isSelf: boolean;
  failures: number;
  fault: DialFault | undefined;
  why: string;
  sinceMs: number;
  cancelTimer: CancelTimer | undefined;
  dialling: Promise<void> | undefined;
}

export class Dialler {
  readonly #parts: DiallerParts;
  readonly #targets = new Map<string, Target>();
  readonly #queue: Target[] = [];
  #dials = 0;
  #isRunning = false;

  constructor(parts: DiallerParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (const target of this.#targets.values()) this.#schedule(target, 0);
  }

  /** Resolves when no dial is under way any more. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#queue.length = 0;
    const targets = [...this.#targets.values()];
    for (const target of targets) target.cancelTimer?.();
    await Promise.all(targets.map(async (target) => target.dialling));
  }

  /** Replaces the seeds. */
  setSeeds(addresses: readonly string[]): void {
    const wanted = new Set(addresses);
    for (const target of this.#targets.values()) {
      target.isSeed = wanted.has(target.address);
      this.#dropIfUnused(target);
    }
    for (const address of wanted) {
      const target = this.#target(address);
      target.isSeed = true;
      target.isSelf = false;
      this.#schedule(target, 0);
    }
  }

  /** Replaces the addresses that a node is said to listen on. */
  setAddresses(nodeId: NodeId, addresses: readonly string[]): void {
    const wanted = new Set(addresses.slice(0, mostAddresses));
    for (const target of this.#targets.values()) {
      if (wanted.has(target.address)) continue;
      target.claimedBy.delete(nodeId);
      this.#dropIfUnused(target);
    }
    for (const address of wanted) {
      const target = this.#target(address);
      if (target.claimedBy.has(nodeId)) continue;
      target.claimedBy.add(nodeId);
      this.#schedule(target, 0);
    }
  }

  /** Somebody else says that a node listens there too: tried besides what the node itself has said. */
  hint(nodeId: NodeId, addresses: readonly string[]): void {
    let room = mostAddresses - this.targetsOf(nodeId).length;
    for (const address of addresses) {
      if (room <= 0) return;
      const target = this.#target(address);
      if (nodesOf(target).has(nodeId)) continue;
      target.claimedBy.add(nodeId);
      room -= 1;
    }
  }

  /** Tries again after that time, whatever the backoff says: all targets, or those of one node. */
  wake(nodeId?: NodeId, afterMs = 0): void {
    for (const target of this.#targets.values()) {
      if (nodeId !== undefined && !nodesOf(target).has(nodeId)) continue;
      target.failures = 0;
      // Not all at the same moment: the other side may be dialling too.
      this.#schedule(target, afterMs + Math.ceil(this.#parts.random() * spreadMs));
    }
  }

  /** One try at each address of a node, at once. Resolves when all are over; false when it has no address. */
  async dialNow(nodeId: NodeId): Promise<boolean> {
    const targets = [...this.#targets.values()].filter((target) => nodesOf(target).has(nodeId) && !target.isSelf);
    await Promise.all(targets.map((target) => this.#dial(target)));
    return targets.length > 0;
  }

  /** What was tried, or will be, to reach that node. */
  targetsOf(nodeId: NodeId): TargetView[] {
    return [...this.#targets.values()].filter((target) => !target.isSelf && nodesOf(target).has(nodeId)).map(view);
  }

  targets(): TargetView[] {
    return [...this.#targets.values()].map(view);
  }

  #target(address: string): Target {
    const known = this.#targets.get(address);
    if (known !== undefined) return known;
    const target: Target = {
      address,
      isSeed: false,
      claimedBy: new Set(),
      answeredBy: undefined,
      isSelf: false,
      failures: 0,
      fault: undefined,
      why: 'not tried yet',
      sinceMs: this.#parts.clock.now(),
      cancelTimer: undefined,
      dialling: undefined,
    };
    this.#targets.set(address, target);
    return target;
  }

  #dropIfUnused(target: Target): void {
    if (target.isSeed || target.claimedBy.size > 0) return;
    target.cancelTimer?.();
    this.#targets.delete(target.address);
  }

  #schedule(target: Target, afterMs: number): void {
    target.cancelTimer?.();
    if (!this.#isRunning || target.dialling !== undefined) return;
    target.cancelTimer = this.#parts.clock.setTimer(afterMs, () => {
      if (!this.#isRunning || this.#rests(target)) return;
      if (this.#dials < mostDials) void this.#dial(target);
      else if (!this.#queue.includes(target)) this.#queue.push(target);
    });
  }

  #rests(target: Target): boolean {
    if (target.isSelf || this.#targets.get(target.address) !== target) return true;
    // Who answered counts for more than who is said to be there.
    const nodes = target.answeredBy === undefined ? [...target.claimedBy] : [target.answeredBy];
    return nodes.length > 0 && nodes.every((nodeId) => this.#parts.isLinked(nodeId));
  }

  /** Joins the try that is under way. Never rejects. */
  #dial(target: Target): Promise<void> {
    target.cancelTimer?.();
    target.dialling ??= this.#try(target).then((atMostMs) => {
      target.dialling = undefined;
      this.#dials -= 1;
      if (this.#isRunning && !this.#rests(target)) {
        this.#schedule(target, this.#waitMs(target, atMostMs));
      }
      this.#next();
    });
    return target.dialling;
  }

  /** Never rejects. @returns the longest wait before the next try */
  async #try(target: Target): Promise<number> {
    this.#dials += 1;
    try {
      const result = await this.#parts.dial(target.address);
      target.failures = 0;
      target.fault = undefined;
      target.isSelf = result.kind === 'self';
      target.answeredBy = result.kind === 'self' ? undefined : result.peer.nodeId;
      this.#reason(target, result.kind === 'self' ? 'that is this node' : 'connected');
      return capMs.other;
    } catch (thrown) {
      const error = toBrokerError(thrown);
      target.failures += 1;
      target.fault = faultOf(error);
      const why = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
      if (this.#reason(target, why)) this.#parts.onFailure(view(target), error);
      return this.#capOf(target);
    }
  }

  #waitMs({ failures }: Target, atMostMs: number): number {
    // After an answer that led to no link of its own (another dial was faster, say) there is no hurry.
    return backoff(failures - 1, { baseMs: failures === 0 ? atMostMs : baseMs, capMs: atMostMs }, this.#parts.random());
  }

  #next(): void {
    while (this.#isRunning && this.#dials < mostDials) {
      const target = this.#queue.shift();
      if (target === undefined) return;
      if (!this.#rests(target)) void this.#dial(target);
    }
  }

  #capOf(target: Target): number {
    const now = this.#parts.clock.now();
    const isRecent = [...nodesOf(target)].some((nodeId) => now - (this.#parts.lastSeenMs(nodeId) ?? 0) < recentMs);
    if (isRecent) return capMs.recent;
    const usual = target.isSeed ? capMs.seed : capMs.other;
    return this.#parts.isAlone() ? Math.min(usual, Math.max(capMs.recent, aloneMs * this.#targets.size)) : usual;
  }

  #reason(target: Target, why: string): boolean {
    if (target.why === why) return false;
    target.why = why;
    target.sinceMs = this.#parts.clock.now();
    return true;
  }
}

function nodesOf({ claimedBy, answeredBy }: Target): Set<NodeId> {
  return answeredBy === undefined ? claimedBy : new Set([...claimedBy, answeredBy]);
}

function view(target: Target): TargetView {
  const { address, isSeed, why, sinceMs, failures, fault, isSelf } = target;
  return { address, isSeed, why, sinceMs, failures, fault, isSelf, nodes: [...nodesOf(target)] };
}
