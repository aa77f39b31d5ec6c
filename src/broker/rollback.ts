/**
 * A store that was put back to an older state: learning of it from peers, asking the origins of what is held back, and
 * noticing it of others. See `afterRollback` for what follows.
 */
import type { FlightId, InvocationId, NodeId } from '../domain/ids.ts';
import { flightOfInvocation, invocationIdOf } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import { OnceAnHour } from '../domain/once-an-hour.ts';
import type { CancelTimer, Clock, Log, Startable, UlidSource } from '../domain/ports.ts';
import { provesRollback } from '../domain/reconciliation.ts';
import type { Flight } from '../domain/records.ts';
import { isTerminal } from '../domain/flight.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Store } from '../domain/store-port.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

const pageSize = 200;
const askMs = 10_000;
/** Work that was queued before this boot waits so long for a peer that may know better. */
export const firstWordMs = 3000;

export interface RollbackParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly runner: Runner;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  /** A flight that is kept here changed. */
  readonly onChanged: (flight: Flight) => void;
}

export class Rollback implements Startable {
  readonly #parts: RollbackParts;
  readonly #asking = new Set<Link>();
  /** Peers that have had the chance to say that this store was rolled back. */
  readonly #heard = new Set<NodeId>();
  /** Peers that were put back: they say it with each link. */
  readonly #putBack: OnceAnHour;
  #isWaiting = false;
  /** Own invocations of before this boot have smaller ids. */
  #bootMark: InvocationId | undefined;
  #cancelTimer: CancelTimer | undefined;

  constructor(parts: RollbackParts) {
    this.#parts = parts;
    this.#putBack = new OnceAnHour(parts.clock);
  }

  /** A whole directory that was put back tells this node nothing: for a moment peers come first. */
  start(): Promise<void> {
    const { store, self, clock, ulids, runner, log } = this.#parts;
    if (this.#bootMark !== undefined || store.read.members().every((each) => each.nodeId === self.nodeId || !belongs(each))) return Promise.resolve();
    this.#bootMark = invocationIdOf(ulids.next());
    this.#isWaiting = true;
    this.#cancelTimer = clock.setTimer(firstWordMs, () => {
      this.#isWaiting = false;
      try {
        runner.wakeAll();
      } catch (error) {
        log.error({ err: error }, 'what was queued before this start could not be started yet');
      }
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#cancelTimer?.();
    return Promise.resolve();
  }

  /** False for a moment after the start, for what was queued before it. */
  mayStart({ originNodeId, invocationId, holdUntilMs }: Flight): boolean {
    if (!this.#isWaiting || this.#bootMark === undefined) return true;
    // It is not to run but to expire.
    if (holdUntilMs <= this.#parts.clock.now()) return true;
    if (originNodeId !== this.#parts.self.nodeId) return this.#heard.has(originNodeId);
    return invocationId > this.#bootMark || this.#heard.size > 0;
  }

  /** Call before the peer's epoch is stored: what is stored of it until then is what it is compared with. */
  async linkUp(link: Link): Promise<void> {
    const { store, self, chronicler, log } = this.#parts;
    const { previousEpoch, epoch, peer } = link;
    const seen = store.read.seenEpochs(peer.nodeId);
    if (provesRollback(link.seenEpochs, self)) await this.suspect(link, `${peer.name} saw this node at an epoch that its store does not know`);
    if (previousEpoch !== undefined && provesRollback(seen, { previousEpoch, epoch }) && this.#putBack.counts(peer.nodeId)) {
      log.warn({ ...peerFields(peer), previousEpoch, seen: Math.max(...seen) }, 'the store of a peer was put back to an older state');
      const detail = { previousEpoch: String(previousEpoch), seen: seen.join(',') };
      await store.write.note({ stamp: chronicler.stamp(), what: 'peer.rolled_back', peerNodeId: peer.nodeId, detail });
    }
    this.#heard.add(peer.nodeId);
    if (this.#isWaiting) this.#parts.runner.wakeAll();
    await this.#askAbout(link);
  }

  /** A peer has evidence. One of another owner identity speaks for its own flights only: it could hold up all work here. */
  async suspect(link: Link, evidence: string): Promise<void> {
    const { store, self, chronicler, log, mesh } = this.#parts;
    if (link.peer.owner !== self.owner()) {
      log.warn({ ...peerFields(link.peer), evidence }, 'a peer of another owner says that this store was put back to an older state; only its own work is touched');
      return;
    }
    const found = await store.write.rolledBack({ stamp: chronicler.stamp(), act: actOfPeer(link), evidence, peerNodeId: link.peer.nodeId });
    if (!found.fresh) return;
    log.error({ evidence, ended: found.ended.length, held: found.quarantined }, rolledBackWords);
    for (const flightId of found.ended) this.#told(flightId);
    for (const each of mesh().links()) await this.#askAbout(each);
  }

  /** The origin has more events of it than this owner: this copy's story can't go on. Resolves when it is over. */
  async isBehind(link: Link, flight: Flight, originSeq: number): Promise<void> {
    if (!isTerminal(flight.state)) await this.#parts.runner.end(flight.id, 'rolled back');
    await this.suspect(link, `${link.peer.name} has event ${originSeq} of ${flight.id}, and this store ends at ${flight.lastSeq}`);
  }

  /** Call now and then: an origin that did not answer is asked again. */
  async askAgain(): Promise<void> {
    for (const link of this.#parts.mesh().links()) await this.#askAbout(link);
  }

  async #askAbout(link: Link): Promise<void> {
    if (this.#asking.has(link)) return;
    this.#asking.add(link);
    try {
      let after: InvocationId | undefined;
      while (link.isUp) {
        const page = this.#parts.store.read.quarantined(link.peer.nodeId, after, pageSize);
        if (page.length === 0) return;
        await this.#settle(link, page);
        after = page.at(-1);
      }
    } catch (error) {
      this.#parts.log.warn({ ...peerFields(link.peer), err: error }, 'an origin could not be asked about work that is held back; it is asked again');
    } finally {
      this.#asking.delete(link);
    }
  }

  async #settle(link: Link, invocationIds: readonly InvocationId[]): Promise<void> {
    const { store, chronicler, runner } = this.#parts;
    const { standings } = await link.ask({ type: 'standings', invocationIds }, askMs);
    for (const invocationId of invocationIds) {
      const origin = standings.find((each) => each.invocationId === invocationId) ?? 'unknown';
      const flight = await store.write.settleQuarantined({ stamp: chronicler.stamp(), flightId: flightOfInvocation(invocationId), origin });
      if (flight === undefined) continue;
      this.#parts.onChanged(flight);
      if (!isTerminal(flight.state)) runner.wake(flight.target);
    }
  }

  #told(flightId: FlightId): void {
    const flight = this.#parts.store.read.flight(flightId);
    if (flight !== undefined) this.#parts.onChanged(flight);
  }
}

export const rolledBackWords =
  'this node’s store was put back to an older state: what it shows as open may have run since and is not started again, and keys used since are not known';
