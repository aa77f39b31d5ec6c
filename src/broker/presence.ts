/**
 * How busy this node's agents are, told to the others when it changes and now and then, and what the others told of theirs.
 * Never stored. Own load is counted when it is told or asked for, of those agents alone that something happened to.
 */
import type { GossipVerdict } from '../domain/gossip-port.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { PeerState } from '../domain/peer.ts';
import type { CancelTimer, Clock, Log, RecordSeal, Startable } from '../domain/ports.ts';
import { isAtRest, localPart, mostLoads, presenceEveryMs, presenceSoonestMs, Presences, restEveryMs, restSaid } from '../domain/presence.ts';
import type { AgentLoad, Load } from '../domain/presence.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { AgentView } from './api.ts';
import type { RegistrySpread } from './registry-spread.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

export interface PresenceParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly mesh: () => Mesh;
  readonly runner: Pick<Runner, 'runningByAgent'>;
  readonly isMember: (nodeId: NodeId) => boolean;
  /** To all, by gossip and over the sessions. */
  readonly spread: Pick<RegistrySpread, 'tell'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** States of a peer in which what it said of itself still holds. */
const present: ReadonlySet<string> = new Set<PeerState>(['alive', 'discovered']);
/** Of one queue: more is seldom, and would take the event loop longer than others can do without it. */
const mostCounted = 100_000;
/** What changes within this time is told in one. */
const togetherMs = 50;

export class NodePresence implements Startable {
  readonly #parts: PresenceParts;
  readonly #presences = new Presences();
  /** This node's busy agents. */
  readonly #own = new Map<string, { running: number; queued: number }>();
  /** Those to be counted again. */
  readonly #changed = new Set<string>();
  /** Nodes that are known to be away. */
  readonly #away = new Set<NodeId>();
  #number = 0;
  #told = '';
  #toldAtMs = -presenceSoonestMs;
  /** Times in a row that it was told to be at rest. */
  #restTold = 0;
  #countedAtMs = 0;
  #last: { readonly record: SignedRecord; readonly meshId: MeshId } | undefined;
  #isRunning = false;
  /** When the next is due, monotonic ms. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #cancelTimer: CancelTimer = () => undefined;
  #release: () => void = () => undefined;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    if (this.#isRunning) return Promise.resolve();
    this.#isRunning = true;
    const { store, mesh } = this.#parts;
    for (const address of store.read.queuedTargets()) this.#changed.add(address);
    this.#release = mesh().onPeer(({ nodeId, state }) => this.#peerChanged(nodeId, state));
    this.#tell();
    return Promise.resolve();
  }

  /** What a node said before it went away holds no more; what it said last, said again when it is back, does. */
  #peerChanged(nodeId: NodeId, state: PeerState): void {
    if (present.has(state)) {
      if (this.#away.delete(nodeId)) this.#presences.mayRepeat(nodeId);
      return;
    }
    this.#away.add(nodeId);
    this.#presences.drop(nodeId);
  }

  stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancelTimer();
    this.#release();
    return Promise.resolve();
  }

  /** Something of that agent of this node may run, wait or have ended. Costs next to nothing. */
  changed(address: string): void {
    this.#changed.add(address);
    this.#dueSoon();
  }

  linkUp(link: Link): void {
    if (this.#last === undefined || this.#last.meshId !== this.#parts.self.mesh()?.id) this.#dueSoon();
    else link.send({ type: 'presence', presence: this.#last.record });
  }

  /**
   * @param from the peer or neighbour that it came from
   * @throws BrokerError `unauthenticated` or `invalid`: forged, and nothing of it was believed
   */
  async heard(record: SignedRecord, from: NodeId): Promise<GossipVerdict> {
    const { seal, self, isMember, clock, spread, mesh } = this.#parts;
    const now = clock.monotonic();
    const claimed = seal.readPresence(record);
    if (claimed.nodeId === self.nodeId || !isMember(claimed.nodeId) || !this.#presences.isNews(claimed, now)) return 'ignore';
    this.#presences.add(seal.openPresence(record), now);
    if (this.#away.has(claimed.nodeId)) mesh().heardOf(claimed.nodeId);
    // Others may see it still; this node does not.
    if (this.#away.has(claimed.nodeId)) this.#presences.drop(claimed.nodeId);
    spread.tell({ type: 'presence', presence: record }, from);
    return 'accept';
  }

  /** Exactly, of this node's own; as it was heard, of others; undefined when nothing is known now. */
  load(nodeId: NodeId, address: string): Load | undefined {
    const { self, clock } = this.#parts;
    if (nodeId !== self.nodeId) return this.#presences.load(nodeId, address, clock.monotonic());
    this.#count();
    return { running: 0, queued: 0, ...this.#own.get(address), ageMs: 0 };
  }

  /** As it is shown to people: one that can't be seen to run anything has no load. */
  shown(view: AgentView): AgentView {
    const { nodeId, address } = view.registration;
    const load = view.state === 'here' || present.has(view.state) ? this.load(nodeId, address) : undefined;
    return load === undefined ? view : { ...view, presence: load };
  }

  #count(): void {
    if (this.#changed.size === 0) return;
    const { store, runner } = this.#parts;
    const running = runner.runningByAgent();
    for (const address of this.#changed) {
      const load = { running: running.get(address) ?? 0, queued: store.read.queuedCount(address, mostCounted) };
      if (load.running + load.queued === 0) this.#own.delete(address);
      else this.#own.set(address, load);
    }
    this.#changed.clear();
  }

  /** After a rest almost at once: what changes together is told together. */
  #dueSoon(): void {
    const now = this.#parts.clock.monotonic();
    this.#dueAt(Math.max(now + togetherMs, this.#toldAtMs + presenceSoonestMs));
  }

  #dueAt(atMs: number): void {
    if (!this.#isRunning || atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    this.#cancelTimer();
    this.#cancelTimer = this.#parts.clock.setTimer(atMs - this.#parts.clock.monotonic(), () => this.#tell());
  }

  /** Unless it is what was told a moment ago. */
  #tell(): void {
    const { store, self, seal, spread, clock, log } = this.#parts;
    const now = clock.monotonic();
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    try {
      // What slipped through, now and then.
      if (now - this.#countedAtMs >= presenceEveryMs) {
        this.#countedAtMs = now;
        for (const address of [...this.#own.keys(), ...store.read.queuedTargets()]) this.#changed.add(address);
        this.#presences.retain(this.#parts.isMember);
      }
      this.#count();
      const loads = this.#loads();
      const meshId = self.mesh()?.id;
      const told = JSON.stringify([meshId, loads]);
      const isResting = isAtRest(loads);
      const everyMs = isResting && this.#restTold >= restSaid ? restEveryMs : presenceEveryMs;
      if (meshId !== undefined && (told !== this.#told || now - this.#toldAtMs >= everyMs)) {
        this.#number += 1;
        this.#restTold = isResting ? this.#restTold + 1 : 0;
        this.#told = told;
        this.#toldAtMs = now;
        const record = seal.sealPresence({ nodeId: self.nodeId, epoch: self.epoch, number: this.#number, ...loads });
        this.#last = { record, meshId };
        spread.tell({ type: 'presence', presence: record });
      }
    } catch (error) {
      log.error({ err: error }, 'how busy this node is could not be told; it is tried again');
    }
    this.#dueAt(now + presenceEveryMs);
  }

  #loads(): { readonly running: number; readonly queued: number; readonly agents: readonly AgentLoad[] } {
    const busy = [...this.#own].map(([address, load]) => ({ address, ...load }));
    const seen = new Set(busy.length === 0 ? [] : this.#parts.store.read.ownRegistrations().filter(({ visibility }) => visibility === 'mesh').map(({ address }) => localPart(address)));
    // What others do not see is not in the sum either: it would tell them that it is there.
    const told = busy.filter((each) => seen.has(localPart(each.address)));
    const sum = (of: (each: AgentLoad) => number): number => told.reduce((total, each) => total + of(each), 0);
    const agents = told.toSorted((a, b) => b.running + b.queued - a.running - a.queued || (a.address < b.address ? -1 : 1));
    return { running: sum((each) => each.running), queued: sum((each) => each.queued), agents: agents.slice(0, mostLoads) };
  }
}
