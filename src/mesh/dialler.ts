/**
 * Keeps trying the addresses that nodes may be found at: seeds, what discovery found, members' own. An address that
 * several name is one target. Each has its own backoff; one whose node needs no dialling rests. A failure is told once per
 * change of its reason. With more to try than may be tried at once nobody waits long for those who swallow packets: each
 * gets a first short look, and a longer one each time it is its turn again.
 */
import { backoff } from '../domain/backoff.ts';
import type { Candidate } from '../domain/discovery-port.ts';
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

/** The wait between two tries: so long after the first, then longer and longer, up to so long. */
interface Pace {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * A node that was here within the hour must be found within 5 s of being back: a try that began just before may take its
 * whole 3 s, so 2 s are left, while few are away. Seeds are few and typed by hand. Of one that nobody waits for it is enough
 * to learn in some minutes that it is back. Most machines that discovery finds run no node.
 */
const paces = {
  clone: { firstMs: 30_000, mostMs: 30_000 },
  recent: { firstMs: 500, mostMs: 2_000 },
  seed: { firstMs: 500, mostMs: 5_000 },
  other: { firstMs: 500, mostMs: 15_000 },
  idle: { firstMs: 60_000, mostMs: 300_000 },
  found: { firstMs: 4_000, mostMs: 300_000 },
} as const satisfies Readonly<Record<string, Pace>>;
const recentMs = 3_600_000;
/** Tries of one that is said to be offline, before it is left alone. */
const mostOfflineTries = 3;
/** Seeds and members that do not answer are tried so often together, ms apart: many of them, each more rarely. */
const spacingMs = 250;
/** The first look of many: a sweep of 200 takes 200 / 16 of it. */
const firstLookMs = 150;
const longestLookMs = 3_000;
const seedSource = 'seed';
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
  /**
   * @param lookMs first sees, for so long, whether anything answers there at all
   * @throws BrokerError, whose message says why it failed
   */
  readonly dial: (address: string, lookMs: number | undefined) => Promise<DialResult>;
  /** No session with that node is wanted: there is one, or nobody needs it. */
  readonly isSettled: (nodeId: NodeId) => boolean;
  /** Nobody waits for a session with that node: it is enough to learn in some minutes that it is back. */
  readonly isIdle: (nodeId: NodeId) => boolean;
  /** Wall clock, ms. */
  readonly lastSeenMs: (nodeId: NodeId) => number | undefined;
  /** No node has a link with this one. */
  readonly isAlone: () => boolean;
  /** A reason that is new for this address. */
  readonly onFailure: (target: TargetView, error: BrokerError) => void;
}

export interface TargetView {
  readonly address: string;
  /** Others of the same machine, tried in turn with it. */
  readonly alternatives: readonly string[];
  readonly isSeed: boolean;
  /** Who named it: seed, tailnet; none for what only members say. */
  readonly sources: readonly string[];
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
  alternatives: readonly string[];
  /** By source, whether it is said to be online. */
  readonly sources: Map<string, boolean>;
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
    for (const target of this.#targets.values()) if (addresses.includes(target.address)) target.isSelf = false;
    this.setCandidates(seedSource, addresses.map((address) => ({ addresses: [address], isOnline: true })));
  }

  /** Replaces what one source has found. What is new, or online again, is tried at once. */
  setCandidates(source: string, candidates: readonly Candidate[]): void {
    const wanted = new Map(candidates.flatMap((each) => (each.addresses[0] === undefined ? [] : [[each.addresses[0], each] as const])));
    for (const target of this.#targets.values()) {
      if (wanted.has(target.address) || !target.sources.delete(source)) continue;
      this.#dropIfUnused(target);
    }
    for (const [address, { addresses, isOnline }] of wanted) {
      const target = this.#target(address);
      const was = target.sources.get(source);
      target.sources.set(source, isOnline);
      target.alternatives = addresses.slice(1);
      if (was === undefined || (isOnline && !was)) {
        target.failures = 0;
        this.#schedule(target, 0);
      }
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

  /** Where an address is known from: what `peers` shows. */
  sourceOf({ path, address }: { readonly path: 'outbound' | 'inbound'; readonly address: string }): string {
    if (path === 'inbound') return 'inbound';
    const target = this.targets().find((each) => each.address === address || each.alternatives.includes(address));
    return target?.isSeed === true ? 'seed' : (target?.sources[0] ?? 'member');
  }

  #target(address: string): Target {
    const known = this.#targets.get(address);
    if (known !== undefined) return known;
    const target: Target = {
      address,
      alternatives: [],
      sources: new Map(),
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
    if (target.sources.size > 0 || target.claimedBy.size > 0) return;
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
    if (target.claimedBy.size === 0 && target.failures >= mostOfflineTries && ![...target.sources.values()].includes(true)) return true;
    // Who answered counts for more than who is said to be there.
    const nodes = target.answeredBy === undefined ? [...target.claimedBy] : [target.answeredBy];
    return nodes.length > 0 && nodes.every((nodeId) => this.#parts.isSettled(nodeId));
  }

  /** Joins the try that is under way. Never rejects. */
  #dial(target: Target): Promise<void> {
    target.cancelTimer?.();
    target.dialling ??= this.#try(target).then((pace) => {
      target.dialling = undefined;
      this.#dials -= 1;
      if (this.#isRunning && !this.#rests(target)) {
        this.#schedule(target, this.#waitMs(target, pace));
      }
      this.#next();
    });
    return target.dialling;
  }

  /** Never rejects. @returns when to try again, if it is to be tried */
  async #try(target: Target): Promise<Pace> {
    this.#dials += 1;
    try {
      const { address, alternatives, failures } = target;
      const all = [address, ...alternatives];
      const lookMs = this.#isCrowded() ? Math.min(longestLookMs, firstLookMs * 4 ** failures) : undefined;
      const result = await this.#parts.dial(all[failures % all.length] ?? address, lookMs);
      target.failures = 0;
      target.fault = undefined;
      target.isSelf = result.kind === 'self';
      target.answeredBy = result.kind === 'self' ? undefined : result.peer.nodeId;
      this.#reason(target, result.kind === 'self' ? 'that is this node' : 'connected');
      return paces.other;
    } catch (thrown) {
      const error = toBrokerError(thrown);
      target.failures += 1;
      target.fault = faultOf(error);
      const why = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
      if (this.#reason(target, why)) this.#parts.onFailure(view(target), error);
      return this.#paceOf(target);
    }
  }

  #waitMs({ failures }: Target, { firstMs, mostMs }: Pace): number {
    // After an answer that led to no link of its own (another dial was faster, say) there is no hurry.
    return backoff(failures - 1, { baseMs: failures === 0 ? mostMs : firstMs, capMs: mostMs }, this.#parts.random());
  }

  #next(): void {
    while (this.#isRunning && this.#dials < mostDials && this.#queue.length > 0) {
      // Those who were here lately, then those who failed least.
      const rank = (target: Target): number => (this.#isRecent(target) ? -1 : target.failures);
      const next = this.#queue.reduce((best, each) => (rank(each) < rank(best) ? each : best));
      this.#queue.splice(this.#queue.indexOf(next), 1);
      if (!this.#rests(next)) void this.#dial(next);
    }
  }

  #paceOf(target: Target): Pace {
    if (target.fault === 'clone') return paces.clone;
    const isSeed = target.sources.has(seedSource);
    const isIdle = this.#isIdle(target);
    const unlinked = this.#unlinked();
    if (!isIdle && this.#isRecent(target)) return spaced(paces.recent, unlinked);
    if (!isSeed && target.claimedBy.size === 0) return isIdle ? paces.idle : paces.found;
    const usual = isIdle ? paces.idle : spaced(isSeed ? paces.seed : paces.other, unlinked);
    return this.#parts.isAlone() ? { ...usual, mostMs: Math.min(usual.mostMs, Math.max(paces.recent.mostMs, unlinked * aloneMs)) } : usual;
  }

  #isRecent(target: Target): boolean {
    const now = this.#parts.clock.now();
    return [...nodesOf(target)].some((nodeId) => now - (this.#parts.lastSeenMs(nodeId) ?? 0) < recentMs);
  }

  #isIdle(target: Target): boolean {
    const nodes = [...nodesOf(target)];
    return !target.sources.has(seedSource) && nodes.length > 0 && nodes.every((nodeId) => this.#parts.isIdle(nodeId));
  }

  #isCrowded(): boolean {
    return this.#unlinked() > mostDials;
  }

  #unlinked(): number {
    return [...this.#targets.values()].filter((target) => !this.#rests(target)).length;
  }

  #reason(target: Target, why: string): boolean {
    if (target.why === why) return false;
    target.why = why;
    target.sinceMs = this.#parts.clock.now();
    return true;
  }
}

/** The more of them, the more rarely each. */
function spaced({ firstMs, mostMs }: Pace, unlinked: number): Pace {
  return { firstMs, mostMs: Math.max(mostMs, unlinked * spacingMs) };
}

function nodesOf({ claimedBy, answeredBy }: Target): Set<NodeId> {
  return answeredBy === undefined ? claimedBy : new Set([...claimedBy, answeredBy]);
}

function view(target: Target): TargetView {
  const { address, alternatives, sources, why, sinceMs, failures, fault, isSelf } = target;
  return { address, alternatives, sources: [...sources.keys()], isSeed: sources.has(seedSource), why, sinceMs, failures, fault, isSelf, nodes: [...nodesOf(target)] };
}
