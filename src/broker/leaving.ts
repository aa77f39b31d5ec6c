/**
 * The orderly way out of a mesh: nothing new, what runs ends, what is under way with others ends with a reason, then this node
 * forgets the mesh and tells its members by a signed word. What a member does when it hears of one.
 */
import type { Act } from '../domain/audit.ts';
import { conflict, denied, toBrokerError } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import { belongs } from '../domain/membership.ts';
import type { MemberQuery, PeerAnswer } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import { pause, within } from '../domain/pause.ts';
import type { Clock, Log, RecordSeal } from '../domain/ports.ts';
import type { Member, Membership, RemovedFrom, Store } from '../domain/store-port.ts';
import type { LeaveInput, LeaveResult } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import { endAllTo } from './parting.ts';
import type { Roster } from './roster.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

/** How long others get to store the last events, and to write down that this node left. */
const lastEventsMs = 5_000;
const tellMs = 3_000;
/** Nodes that a link is made with at once. */
const linkedAtOnce = 16;
const pollMs = 50;
const page = 500;

export interface LeavingParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  readonly seal: RecordSeal;
  readonly runner: Runner;
  readonly feed: Feed;
  readonly roster: Roster;
  /** This node takes no new work, or does again. */
  readonly setLeaving: (isLeaving: boolean) => void;
  /** What nobody could do any more in this mesh once this node's keys are gone; empty when nothing. */
  readonly lossesOfKeys: (membership: Membership, others: readonly Member[]) => Promise<readonly string[]>;
  /** It is no member any more: sessions end, keys go. */
  readonly onLeft: (membership: Pick<Membership, 'meshId' | 'name'>) => Promise<void>;
  /** As in `MembershipPorts`. */
  readonly renewKey: () => Promise<void>;
  /** As in `MembershipPorts`. */
  readonly isKeyRefused: () => boolean;
}

export class Leaving {
  readonly #parts: LeavingParts;
  #underWay: Promise<LeaveResult> | undefined;
  #forced = new AbortController();

  constructor(parts: LeavingParts) {
    this.#parts = parts;
  }

  /** @throws as `BrokerApi.leaveMesh` does */
  async leave({ force, confirmed, waitMs }: LeaveInput, act?: Act): Promise<LeaveResult> {
    const { store, clock, runner } = this.#parts;
    const membership = store.read.membership();
    const from = store.read.removedFrom();
    if (from !== undefined) return this.#forget(from, act);
    if (this.#underWay === undefined) {
      if (membership === undefined) return this.#giveUpKey();
      const losses = confirmed ? [] : await this.#losses(membership);
      if (losses.length > 0) return { left: false, running: runner.running, meshName: membership.meshName, told: [], untold: [], ended: 0, losses };
      this.#forced = new AbortController();
      this.#underWay = this.#run(membership, act).finally(() => {
        this.#underWay = undefined;
      });
    }
    const underWay = this.#underWay;
    if (force) this.#forced.abort();
    const result = await within(clock, waitMs, underWay);
    underWay.catch((error: unknown) => this.#parts.log.error({ err: error }, 'leaving the mesh failed'));
    return result ?? { left: false, running: runner.running, meshName: membership?.meshName ?? '', told: [], untold: [], ended: 0, losses: [] };
  }

  /** A member says that it left. @throws `denied` for another's word */
  async answer(link: Link, { departure: record }: Extract<MemberQuery, { type: 'leave' }>): Promise<PeerAnswer> {
    const departure = this.#parts.seal.openDeparture(record, () => link.peer.publicKey);
    if (departure.nodeId !== link.peer.nodeId) throw denied('a node can leave for itself alone');
    await this.#parts.roster.departed([{ departure, record }], link.peer.nodeId);
    return { type: 'leave' };
  }

  /** That member has left: nothing more will be heard of what is under way with it. */
  async memberLeft(nodeId: NodeId): Promise<void> {
    const name = this.#parts.store.read.member(nodeId)?.name ?? nodeId;
    const hint = 'invoke it on another node';
    await endAllTo(this.#parts, nodeId, {
      unsent: { code: 'unavailable', message: `${name} left the mesh before this could be handed over`, hint },
      sent: { code: 'unavailable', message: `${name} left the mesh, and its word on this did not arrive`, hint: 'it may have run: see what it did before you invoke it again' },
    });
    await this.#settleFrom(nodeId, { code: 'unavailable', message: `${name}, which asked for it, left the mesh before it could start` });
  }

  /** Nobody is there to be told, and nothing to be waited for: all of it ended when this node was removed. */
  async #forget(from: RemovedFrom, act: Act | undefined): Promise<LeaveResult> {
    const { store, chronicler, renewKey, onLeft, log } = this.#parts;
    // First: a node that forgot its mesh and kept its key could enter none again, and would not know why.
    await renewKey();
    await store.write.leaveMesh({ stamp: chronicler.stamp(), act });
    await onLeft(from);
    log.info({ mesh: from.meshName }, 'the mesh that removed this node is forgotten; it has a new key from its next start on');
    return { left: true, running: 0, meshName: from.meshName, told: [], untold: [], ended: 0, losses: [], isNewKey: true };
  }

  /** It left before it heard that it was removed, and was told so when it wanted to come back. @throws `conflict` for a node whose key nobody refused */
  async #giveUpKey(): Promise<LeaveResult> {
    const { isKeyRefused, renewKey, log } = this.#parts;
    if (!isKeyRefused()) throw conflict('this node is in no mesh');
    await renewKey();
    log.info({}, 'a mesh refused the key of this node as removed; it has a new one from its next start on');
    return { left: true, running: 0, meshName: '', told: [], untold: [], ended: 0, losses: [], isNewKey: true };
  }

  async #losses(membership: Membership): Promise<string[]> {
    const { store, runner, mesh } = this.#parts;
    const { read } = store;
    const others = this.#others();
    const held = others.flatMap(({ nodeId }) => [...new Set([...read.unsent(nodeId, undefined, page), ...read.openAt(nodeId, undefined, page).map((each) => each.invocationId)])]);
    const queued = others.reduce((sum, { nodeId }) => sum + this.#queuedFrom(nodeId).length, 0);
    const losses: string[] = [];
    if (held.length > 0) losses.push(`${held.length} ${held.length === 1 ? 'invocation' : 'invocations'} of this node for others would end unfinished`);
    if (queued > 0) losses.push(`${queued} ${queued === 1 ? 'invocation' : 'invocations'} of others that wait here would fail`);
    losses.push(...(await this.#parts.lossesOfKeys(membership, others)));
    this.#parts.log.debug({ held: held.length, queued, running: runner.running, links: mesh().links().length }, 'what leaving the mesh would cost');
    return losses;
  }

  async #run(membership: Membership, act: Act | undefined): Promise<LeaveResult> {
    const { store, self, mesh, chronicler, clock, seal, runner, setLeaving, onLeft, log } = this.#parts;
    setLeaving(true);
    try {
      await runner.drain(this.#forced.signal);
      const others = this.#others();
      for (const { nodeId } of others) await this.#settleFrom(nodeId, { code: 'unavailable', message: `${self.name()} left the mesh before this could start`, hint: 'invoke it on another node' });
      await this.#untilStored(others);
      let ended = 0;
      for (const { nodeId } of others) {
        ended += await endAllTo(this.#parts, nodeId, {
          unsent: { code: 'cancelled', message: `this node left ${membership.meshName} before it could be handed over` },
          sent: { code: 'cancelled', message: `this node left ${membership.meshName} while it was under way`, hint: 'it may have run: see what it did there' },
        });
      }
      const record = seal.sealDeparture({ nodeId: self.nodeId, certifiedAtMs: self.certifiedAtMs(), leftAtMs: clock.now() });
      await this.#linkWith(others);
      const links = new Map(mesh().links().map((link) => [link.peer.nodeId, link]));
      // Forgotten first: a node that died in between would be called unreachable, and never believe itself a member that all others see gone.
      await store.write.leaveMesh({ stamp: chronicler.stamp(), act });
      const told = await Promise.all(others.map(async ({ nodeId }) => (await this.#tell(links.get(nodeId), record)) === true));
      await onLeft(membership);
      log.info({ mesh: membership.meshName, told: told.filter(Boolean).length, of: others.length }, 'this node left its mesh');
      const names = (isTold: boolean): string[] => others.flatMap(({ name }, index) => (told[index] === isTold ? [name] : []));
      return { left: true, running: 0, meshName: membership.meshName, told: names(true), untold: names(false), ended, losses: [] };
    } finally {
      setLeaving(false);
    }
  }

  /** In a large mesh there are links with few: whoever is told in person need not hear it from others. */
  async #linkWith(others: readonly Member[]): Promise<void> {
    const left = others.values();
    const next = async (): Promise<void> => {
      for (const { nodeId } of left) await this.#parts.mesh().want(nodeId);
    };
    await Promise.all(Array.from({ length: linkedAtOnce }, next));
  }

  async #tell(link: Link | undefined, departure: ReturnType<RecordSeal['sealDeparture']>): Promise<boolean> {
    if (link === undefined) return false;
    try {
      await link.ask({ type: 'leave', departure }, tellMs);
      return true;
    } catch (error) {
      this.#parts.log.warn({ ...peerFields(link.peer), why: toBrokerError(error).message }, 'a member could not be told that this node left');
      return false;
    }
  }

  #others(): readonly Member[] {
    const { store, self } = this.#parts;
    return store.read.members().filter((each) => each.nodeId !== self.nodeId && belongs(each));
  }

  #queuedFrom(originNodeId: NodeId): ReturnType<typeof flightOfInvocation>[] {
    const { read } = this.#parts.store;
    const waiting = read.endpoints().flatMap(({ address }) => read.queued(address, 10_000));
    const heldBack = read.quarantined(originNodeId, undefined, 10_000).map(flightOfInvocation);
    return [...new Set([...waiting, ...heldBack])].filter((id) => read.flight(id)?.originNodeId === originNodeId);
  }

  /** What that node asked for and has not begun here ends; what has ended waits for its acknowledgement no longer than it can come. */
  async #settleFrom(originNodeId: NodeId, error: ErrorInfo): Promise<void> {
    for (const flightId of this.#queuedFrom(originNodeId)) await this.#parts.runner.settleQueued(flightId, { state: 'failed', error });
  }

  /** The last events are with their origins, or those can't be reached. */
  async #untilStored(others: readonly Member[]): Promise<void> {
    const { store, mesh, clock } = this.#parts;
    const untilMs = clock.monotonic() + lastEventsMs;
    const isOpen = ({ nodeId }: Member): boolean => mesh().link(nodeId) !== undefined && store.read.unacknowledged(nodeId, undefined, 1).length > 0;
    while (others.some(isOpen) && clock.monotonic() < untilMs) await pause(clock, pollMs);
    for (const { nodeId } of others) {
      for (const { invocationId, lastSeq } of store.read.unacknowledged(nodeId, undefined, page)) {
        const flight = store.read.flight(flightOfInvocation(invocationId));
        // Nobody will ever ask for the rest; unacknowledged it could not be pruned.
        if (flight !== undefined && isTerminal(flight.state)) await store.write.acknowledged({ flightId: flight.id, originNodeId: nodeId, seq: lastSeq });
      }
    }
  }
}
