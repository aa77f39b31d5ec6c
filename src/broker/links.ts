/** Hands what arrives on a link to the part that answers for it. */
import { denied, toBrokerError } from '../domain/errors.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { decodeHlc, maxAheadMs } from '../domain/hlc.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { LogFields } from '../domain/log-fields.ts';
import type { CloneSighting, Link, LinkDigest, LinkHandler } from '../domain/mesh-port.ts';
import { OnceAnHour } from '../domain/once-an-hour.ts';
import type { CoreQuery, PeerAnswer, PeerMessage } from '../domain/messages.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { Appointing } from './appointing.ts';
import type { Chronicler } from './chronicler.ts';
import { Complaints } from './complaints.ts';
import type { FlightWork } from './flight-work.ts';
import type { Inbox } from './inbox.ts';
import type { Inspection } from './inspection.ts';
import type { Leaving } from './leaving.ts';
import type { Operator } from './operator.ts';
import type { Outbox } from './outbox.ts';
import type { NodePresence } from './presence.ts';
import type { Registry } from './registry.ts';
import type { Rollback } from './rollback.ts';
import type { Renaming } from './renaming.ts';
import type { Renewal } from './renewal.ts';
import type { Renewals } from './renewals.ts';
import type { Replies } from './replies.ts';
import type { ReplyRelay } from './reply-relay.ts';
import { isOwed } from './owed.ts';
import type { Removal } from './removal.ts';
import type { Roster } from './roster.ts';

export interface LinksParts {
  readonly store: Store;
  readonly chronicler: Chronicler;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly rollback: Rollback;
  readonly replies: Replies;
  readonly relay: ReplyRelay;
  readonly registry: Registry;
  readonly roster: Roster;
  readonly inspection: Inspection;
  readonly operator: Operator;
  readonly work: FlightWork;
  readonly presence: NodePresence;
  readonly renaming: Renaming;
  readonly appointing: Appointing;
  readonly renewal: Renewal;
  readonly renewals: Renewals;
  readonly leaving: Leaving;
  readonly removal: Removal;
  readonly clock: Clock;
  readonly log: Log;
}

/** Two who answer at once, one that was pruned meanwhile: honest peers come to that, too. */
const harmless: ReadonlySet<ErrorCode> = new Set(['conflict', 'not_found']);
/** Of questions, for its peer to hear and its owner to know. */
const telling: ReadonlySet<ErrorCode> = new Set(['denied', 'unauthenticated']);

export class Links implements LinkHandler {
  readonly #parts: LinksParts;
  readonly #working = new Set<Promise<void>>();
  readonly #complaints: Complaints;
  readonly #refusals: OnceAnHour;

  constructor(parts: LinksParts) {
    this.#parts = parts;
    this.#complaints = new Complaints(parts.clock, parts.log);
    this.#refusals = new OnceAnHour(parts.clock);
  }

  onUp(link: Link): void {
    const { roster, registry, inbox, outbox, replies, rollback, store, clock } = this.#parts;
    // Before its epoch is stored.
    this.#track(peerFields(link.peer), rollback.linkUp(link));
    roster.linkUp(link);
    registry.linkUp(link);
    this.#parts.presence.linkUp(link);
    this.#parts.renewal.linkUp();
    inbox.linkUp(link);
    replies.linkUp(link);
    this.#track(peerFields(link.peer), outbox.linkUp(link));
    this.#track(peerFields(link.peer), store.write.saw({ nodeId: link.peer.nodeId, atMs: clock.now(), epoch: link.epoch }));
  }

  async onMessage(link: Link, message: PeerMessage): Promise<void> {
    // Its link is being cut.
    if (this.#parts.removal.isRemoved(link.peer.nodeId)) return;
    this.#lookAtClock(link, message);
    try {
      await this.#dispatch(link, message);
    } catch (error) {
      const known = toBrokerError(error);
      this.#complaints.tell({
        ...{ peer: link.peer, kind: `${message.type} ${known.code}`, level: harmless.has(known.code) ? 'info' : 'warn' },
        ...{ fields: { frame: message.type, code: known.code, err: known }, message: 'a message of a peer was not taken' },
      });
    }
  }

  async onQuery(link: Link, query: CoreQuery): Promise<PeerAnswer> {
    try {
      return await this.#answer(link, query);
    } catch (error) {
      const { code, message } = toBrokerError(error);
      // Who asks for another's name is told that it is taken.
      if (telling.has(code) || query.type === 'rename') this.#complaints.tell({ peer: link.peer, kind: `${query.type} ${code}`, level: 'info', fields: { frame: query.type, code, why: message }, message: 'a question of a peer was refused' });
      throw error;
    }
  }

  #answer(link: Link, query: CoreQuery): Promise<PeerAnswer> {
    const { work, relay, renaming, renewals, appointing, leaving, removal, registry, inspection, operator } = this.#parts;
    if (removal.isRemoved(link.peer.nodeId)) return Promise.reject(denied(`${link.peer.name} was removed from the mesh`));
    switch (query.type) {
      case 'diff':
      case 'worktree':
        return work.answer(link, query);
      case 'reply':
        return relay.answer(link, query);
      case 'rename':
        return renaming.answer(link, query);
      case 'renew':
        return renewals.answer(link, query);
      case 'issuer_key':
      case 'become_issuer':
      case 'renew_issuer':
        return appointing.answer(link, query);
      case 'leave':
        return leaving.answer(link, query);
      case 'remove':
      case 'revoked':
        return removal.answer(link, query);
      case 'registry_digest':
      case 'registry_entries':
      case 'registry_records':
        return registry.answer(link, query);
      case 'trace':
      case 'facts':
      case 'find':
      case 'report':
        return operator.answer(link, query);
      default:
        return inspection.answer(link, query);
    }
  }

  isOwed(nodeId: NodeId): boolean {
    return isOwed(this.#parts.store, nodeId);
  }

  onClone({ nodeId, name, kept, refused }: CloneSighting): void {
    const { store, chronicler } = this.#parts;
    this.#track({ peerId: nodeId }, store.write.note({ stamp: chronicler.stamp(), what: 'peer.cloned', peerNodeId: nodeId, detail: { kept, refused }, audit: { kind: 'session.refused', about: { nodeId, name, why: `a second machine with its key; the first is at ${kept}` }, who: { is: 'stranger' }, from: { via: 'network', address: refused } } }));
  }

  onRefusedAsClone(peer: PeerIdentity, why: string): void {
    if (!this.#refusals.counts(peer.nodeId)) return;
    const { store, chronicler } = this.#parts;
    this.#track(peerFields(peer), store.write.note({ stamp: chronicler.stamp(), what: 'node.refused', peerNodeId: peer.nodeId, detail: { why } }));
  }

  onDown(link: Link, why: string): void {
    const { inbox, outbox, registry, store, clock } = this.#parts;
    inbox.linkDown(link);
    registry.linkDown(link);
    this.#track(peerFields(link.peer), outbox.linkDown(link, why));
    this.#track(peerFields(link.peer), store.write.saw({ nodeId: link.peer.nodeId, atMs: clock.now() }));
  }

  digest(): LinkDigest {
    return this.#safely({ root: '', gossips: false }, () => this.#parts.registry.ownDigest());
  }

  onDigest(link: Link, digest: LinkDigest): void {
    this.#safely(undefined, () => this.#parts.registry.onDigest(link, digest));
  }

  /** Resolves when what links have set off is done. */
  async settled(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
  }

  /** What it says of time is not taken over then, wherever it stands. */
  #lookAtClock({ peer }: Link, message: PeerMessage): void {
    const hlc = 'hlc' in message ? message.hlc : message.type === 'flight_events' ? message.events.at(-1)?.hlc : undefined;
    if (hlc === undefined || decodeHlc(hlc).ms - this.#parts.clock.now() <= maxAheadMs) return;
    this.#complaints.tell({ peer, kind: 'clock', message: 'the clock of a peer is far ahead of this node’s: it is not followed' });
  }

  async #dispatch(link: Link, message: PeerMessage): Promise<void> {
    const { inbox, outbox, replies, registry, roster } = this.#parts;
    switch (message.type) {
      case 'forward':
        return inbox.forward(link, message);
      case 'cancel':
        return inbox.cancel(link, message);
      case 'sync':
        return inbox.sync(link, message);
      case 'event_ack':
        return inbox.eventAck(link, message);
      case 'receipt':
        return outbox.receipt(link, message);
      case 'reject':
        return outbox.reject(link, message);
      case 'draining':
        return outbox.ownerDrains(link, message);
      case 'sync_reply':
        return outbox.syncReply(link, message);
      case 'cancelled_unknown':
        return outbox.cancelledUnknown(link, message);
      case 'reply':
        return replies.received(link, message);
      case 'reply_outcome':
        return replies.outcome(link, message);
      case 'flight_events':
        return outbox.events(link, message);
      case 'registry_change':
      case 'registry_entry':
      case 'presence':
        return registry.news(link, message);
      case 'roster':
        return roster.received(link, message);
    }
  }

  /** A heartbeat beats on without it. */
  #safely<Result>(otherwise: Result, work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'the digest of the registry could not be had');
      return otherwise;
    }
  }

  #track(about: LogFields, work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#parts.log.error({ ...about, err: error }, 'work for a link failed'))
      .finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }
}
