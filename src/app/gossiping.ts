/**
 * When and where this node gossips: while it is in a mesh, beside its network port. The port is held from the start, the
 * library is loaded with the first mesh. Whatever fails here is a warning: the sessions do the work.
 */
import { toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Gossip, GossipHandler, GossipNews } from '../domain/gossip-port.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { CancelTimer, Clock, Log, Random } from '../domain/ports.ts';
import { MeshGossip } from '../gossip/gossip.ts';
import type { GossipMember } from '../gossip/gossip.ts';
import { GossipMeasures } from '../gossip/measures.ts';
import type { NodeKey } from '../trust/node-key.ts';
import { planGossip, userspaceWhy } from './gossip-plan.ts';
import type { GossipPlan, GossipSurroundings, GossipWish } from './gossip-plan.ts';
import { holdPorts } from './held-port.ts';
import type { HeldPorts } from './held-port.ts';
import { reachableAddresses } from './listen.ts';

export interface GossipingParts {
  readonly nodeKey: NodeKey;
  readonly wish: GossipWish;
  readonly surroundings: () => GossipSurroundings;
  /** All unrevoked members, and where they gossip. */
  readonly members: () => readonly GossipMember[];
  readonly handler: GossipHandler;
  /** Others can reach it elsewhere than before. */
  readonly onMoved: () => void;
  readonly onOverLimit?: OverLimit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface GossipState {
  /** Why it does not gossip; undefined when it does, or is about to. */
  readonly why?: string;
  readonly failure?: BrokerError;
  readonly addresses: readonly HostPort[];
  readonly neighbours: ReadonlySet<NodeId>;
  /** Since it last began, ms. */
  readonly forMs: number;
}

const refusedWhy = 'other nodes refuse this one as the copy of a machine';
const startsAfterMs = 300;
const retryMs = 30_000;
/** Heads change without a word to this part. */
const membersFreshMs = 2_000;

export class Gossiping implements Gossip {
  /** Since this node started, in whichever mesh. */
  readonly measures = new GossipMeasures();
  readonly #parts: GossipingParts;
  #meshId: MeshId | undefined;
  #isStarted = false;
  #isRefused = false;
  #plan: GossipPlan = { bind: [], mayMove: false };
  #held: HeldPorts | undefined;
  #running: { readonly gossip: MeshGossip; readonly meshId: MeshId; readonly sinceMs: number } | undefined;
  #failure: BrokerError | undefined;
  #hasMoved = false;
  #told = '';
  #members: { readonly byId: ReadonlyMap<NodeId, GossipMember>; readonly untilMs: number } | undefined;
  #work: Promise<void> = Promise.resolve();
  #cancelRetry: CancelTimer = () => undefined;

  constructor(parts: GossipingParts) {
    this.#parts = parts;
  }

  /** The network port is there. @throws BrokerError as `holdPorts` does, for a place that the person named */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    await this.#settle(true);
    // A node that starts has better to do than to load a library.
    this.#cancelRetry = this.#parts.clock.setTimer(startsAfterMs, () => this.#schedule());
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#cancelRetry();
    await this.#running?.gossip.stop();
    await this.#work;
    await this.#running?.gossip.stop();
    this.#running = undefined;
    await this.#held?.release();
    this.#held = undefined;
  }

  /** Undefined: this node is in no mesh from now on. */
  setMesh(meshId: MeshId | undefined): void {
    if (meshId === this.#meshId) return;
    this.#meshId = meshId;
    this.#members = undefined;
    this.#schedule();
  }

  /** As the copy of a machine: neighbours would take it for that one, and lose that one. */
  setRefused(isRefused: boolean): void {
    if (isRefused === this.#isRefused) return;
    this.#isRefused = isRefused;
    this.#schedule();
  }

  /** The network port has moved. */
  moved(): void {
    if (!this.#isStarted) return;
    this.#work = this.#work.then(async () => {
      const { wish, surroundings } = this.#parts;
      if (JSON.stringify(planGossip(wish, surroundings())) === JSON.stringify(this.#plan)) return;
      await this.#halt();
      await this.#held?.release();
      this.#held = undefined;
      await this.#settle(false);
    });
    this.#schedule();
  }

  /** Of those that are members no longer nothing more is heard from this moment on. */
  membersChanged(): void {
    this.#members = undefined;
    this.#running?.gossip.membersChanged();
  }

  publish(news: GossipNews): void {
    this.#running?.gossip.publish(news);
  }

  neighbours(): ReadonlySet<NodeId> {
    return this.#running?.gossip.neighbours() ?? new Set();
  }

  /** Where it gossips, or will as soon as it is in a mesh. */
  addresses(): readonly HostPort[] {
    const running = this.#running?.gossip.addresses() ?? [];
    return reachableAddresses(running.length > 0 ? running : (this.#held?.addresses ?? []));
  }

  state(): GossipState {
    const running = this.#running;
    const why = this.#isRefused ? refusedWhy : this.#plan.why;
    return {
      ...(why === undefined ? {} : { why }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
      addresses: this.addresses(),
      neighbours: this.neighbours(),
      forMs: running === undefined ? 0 : this.#parts.clock.monotonic() - running.sinceMs,
    };
  }

  /** What its owner should know. */
  note(): string | undefined {
    if (this.#plan.why === userspaceWhy) return userspaceWhy;
    const [first] = this.addresses();
    if (!this.#hasMoved || first === undefined) return undefined;
    return `the usual port for gossip is taken, by another node perhaps: it gossips at ${formatHostPort(first)}; a firewall must let that in, or name one with beckon up --gossip-listen HOST:PORT`;
  }

  /** Holds the ports that it is to have. @param isFirst a place that was named and is taken is an error */
  async #settle(isFirst: boolean): Promise<void> {
    const { wish, surroundings, log } = this.#parts;
    this.#plan = planGossip(wish, surroundings());
    const { bind, mayMove } = this.#plan;
    if (bind.length === 0 || !this.#isStarted) return;
    try {
      this.#held = await holdPorts(bind).catch((error: unknown) => {
        if (!mayMove || toBrokerError(error).code !== 'conflict') throw error;
        this.#hasMoved = true;
        return holdPorts(bind.map(({ host }) => ({ host, port: 0 })));
      });
      this.#failure = undefined;
    } catch (error) {
      if (isFirst && wish !== 'auto') throw error;
      this.#failure = toBrokerError(error);
      log.warn({ err: error }, 'there is no place to gossip at: news go over the sessions');
    }
  }

  #schedule(): void {
    if (!this.#isStarted) return;
    this.#cancelRetry();
    this.#work = this.#work.then(() => this.#apply());
  }

  async #apply(): Promise<void> {
    const meshId = this.#isRefused ? undefined : this.#meshId;
    if (this.#running?.meshId === meshId) return this.#tell();
    await this.#halt();
    if (this.#isStarted && this.#held === undefined) await this.#settle(false);
    const listen = this.#held?.addresses ?? [];
    if (meshId !== undefined && listen.length > 0 && this.#isStarted) await this.#begin(meshId, listen);
    if (this.#failure !== undefined && this.#isStarted) this.#cancelRetry = this.#parts.clock.setTimer(retryMs, () => this.#schedule());
    this.#tell();
  }

  async #begin(meshId: MeshId, listen: readonly HostPort[]): Promise<void> {
    const { nodeKey, handler, clock, random, log } = this.#parts;
    const gossip = new MeshGossip({
      ...{ nodeId: nodeKey.nodeId, key: rawKey(nodeKey), meshId, listen, handler, measures: this.measures, onOverLimit: this.#parts.onOverLimit, clock, random, log },
      isMember: (nodeId) => this.#known().has(nodeId),
      members: () => [...this.#known().values()],
    });
    await this.#held?.release();
    this.#held = undefined;
    try {
      await gossip.start();
      this.#running = { gossip, meshId, sinceMs: clock.monotonic() };
      this.#failure = undefined;
      log.info({ addresses: gossip.addresses().map(formatHostPort) }, 'it gossips');
    } catch (error) {
      this.#failure = toBrokerError(error);
      log.warn({ err: error }, 'it could not begin to gossip: news go over the sessions');
    }
  }

  /** The port stays held for the next mesh. */
  async #halt(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.gossip.stop();
  }

  #tell(): void {
    const now = this.#running === undefined ? '' : this.addresses().map(formatHostPort).join(' ');
    if (now === this.#told) return;
    this.#told = now;
    if (this.#isStarted) this.#parts.onMoved();
  }

  #known(): ReadonlyMap<NodeId, GossipMember> {
    const now = this.#parts.clock.monotonic();
    if (this.#members === undefined || this.#members.untilMs <= now) {
      this.#members = { byId: new Map(this.#parts.members().map((each) => [each.nodeId, each])), untilMs: now + membersFreshMs };
    }
    return this.#members.byId;
  }
}

/** Seed and public key. */
function rawKey({ privateKey }: NodeKey): Uint8Array {
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
}
