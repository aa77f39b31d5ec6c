/**
 * A member is removed: signed by an issuer, written down by every node that hears of it, never forgotten. What a node does from the
 * moment it knows: no session, no gossip, no word of that node counts, and what is under way with it ends.
 */
import type { Act, Audit } from '../domain/audit.ts';
import { BrokerError, denied, invalid, notFound, toBrokerError, unavailable } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import { belongs, outsideError } from '../domain/membership.ts';
import type { RemovedFrom } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { MemberQuery, PeerAnswer } from '../domain/messages.ts';
import type { Clock, Log, RevocationSeal } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { FallenIssuer, Revocation } from '../domain/revocation.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { RemoveResult } from './api.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import { fallenWith, fallenWithout } from './fallen.ts';
import type { Feed } from './feed.ts';
import { InTurn } from './in-turn.ts';
import { endAllTo } from './parting.ts';
import type { RegistryState, Revocations } from './registry-state.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

const dialMs = 4_000;
const askMs = 5_000;
const tellMs = 3_000;
const page = 500;

export interface RemovalParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit?: Audit;
  readonly seal: RevocationSeal;
  readonly runner: Runner;
  readonly feed: Feed;
  readonly state: Pick<RegistryState, 'memberChanged'>;
  /** By name or id. @throws `not_found` with the nearest names */
  readonly find: (text: string) => NodeId;
  /** To all other members, by whatever way; not back to where it came from. */
  readonly spread: (revocation: SignedRecord, from: NodeId | undefined) => void;
  /** The network is to treat members as they are now: those that were removed are cut off. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** This node was removed: it speaks to nobody of that mesh any more. */
  readonly onSelfRemoved: (from: RemovedFrom) => Promise<void>;
}

export class Removal {
  readonly #parts: RemovalParts;
  #removed: ReadonlySet<NodeId> = new Set();
  /** One after the other, so that what follows from one is there when the next is looked at. */
  readonly #turns = new InTurn();
  /** The ends of work: a process may take seconds to go, and nobody who tells of a removal has to wait for that. */
  #ending: Promise<void> = Promise.resolve();

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  /** What a node that died in the middle had left to do of it. */
  async start(): Promise<void> {
    const { store } = this.#parts;
    this.#load();
    const from = store.read.removedFrom();
    if (from !== undefined) await this.#partFromAll(from);
    else for (const nodeId of this.#removed) await this.#part(nodeId);
  }

  /** Resolves when what follows from removals so far is done. */
  async settled(): Promise<void> {
    await this.#turns.settled();
    await this.#ending;
  }

  isRemoved(nodeId: NodeId): boolean {
    const { read } = this.#parts.store;
    // With its issuer, and another has certified it since.
    return this.#removed.has(nodeId) && (read.revocation(nodeId) ?? read.member(nodeId)?.removed) !== undefined;
  }

  /** @throws as `BrokerApi.removeMember` does */
  async remove(text: string, by: string, act?: Act): Promise<RemoveResult> {
    const { store, self, find, mesh } = this.#parts;
    this.#refuseOutside();
    const nodeId = find(text);
    if (nodeId === self.nodeId) throw invalid('a node can’t remove itself', 'leave the mesh: beckon mesh leave; or remove it from another node');
    if (this.#isDone(nodeId)) return this.#result(nodeId, { already: true, told: [], untold: [] });
    const record = this.#sign(nodeId, `${self.owner()} on ${self.name()}`) ?? (await this.#ask(nodeId, by));
    await this.#tellOn(record, { act });
    const others = store.read.members().filter((each) => each.nodeId !== self.nodeId && belongs(each));
    const links = new Map(mesh().links().map((link) => [link.peer.nodeId, link]));
    const told = await Promise.all(others.map((each) => this.#tell(links.get(each.nodeId), record)));
    const names = (isTold: boolean): string[] => others.filter((_, index) => told[index] === isTold).map(({ name }) => name);
    return this.#result(nodeId, { already: false, told: names(true), untold: names(false) });
  }

  /** Another node's question. @throws `denied` unless it is of this issuer's own person */
  async answer(link: Link, query: Extract<MemberQuery, { type: 'remove' | 'revoked' }>): Promise<PeerAnswer> {
    if (query.type === 'revoked') {
      await this.#tellOn(query.revocation, { from: link });
      return { type: 'revoked' };
    }
    const { store, self, log } = this.#parts;
    const { peer } = link;
    const { nodeId, by } = query;
    if (peer.owner !== self.owner()) throw denied(`${peer.name} belongs to ${peer.owner}, and only the nodes of ${self.owner()} may have ${self.name()} remove a member`, `ask ${self.owner()}`);
    if (nodeId === self.nodeId || nodeId === peer.nodeId) throw invalid('a node can’t remove itself', 'there: beckon mesh leave');
    const known = store.read.revocation(nodeId);
    if (known !== undefined && this.#isDone(nodeId)) return { type: 'remove', revocation: known.record };
    if (store.read.member(nodeId) === undefined) throw notFound(`${self.name()} knows no member ${nodeId}`);
    const record = this.#sign(nodeId, `${peer.owner} on ${peer.name}`);
    if (record === undefined) throw denied(`${self.name()} can’t remove members: it is no issuer`);
    log.info({ ...peerFields(peer), by }, `${nodeId} is removed by the wish of another node`);
    await this.#tellOn(record, { from: link, act: actOfPeer(link, by) });
    return { type: 'remove', revocation: store.read.revocation(nodeId)?.record ?? record };
  }

  /**
   * Takes what replicates; passing it on is the caller's. Resolves with whether it was news, when it is written down and the node is cut off.
   * @throws BrokerError `unauthenticated` or `invalid` for what nobody who may signed: nothing is changed then but the audit
   */
  async received(record: SignedRecord, act?: Act): Promise<boolean> {
    try {
      return await this.#turns.run(() => this.#take(record, act));
    } catch (error) {
      if (act !== undefined) this.#parts.audit?.refused({ kind: 'record.refused', about: { what: 'revocation', why: toBrokerError(error).message } }, act);
      throw error;
    }
  }

  async #tellOn(record: SignedRecord, { from, act }: { readonly from?: Link; readonly act?: Act | undefined }): Promise<void> {
    if (await this.received(record, act ?? (from === undefined ? undefined : actOfPeer(from)))) this.#parts.spread(record, from?.peer.nodeId);
  }

  async #take(record: SignedRecord, act: Act | undefined): Promise<boolean> {
    const { store, self, state, seal, chronicler, onMembers, log } = this.#parts;
    // Most come again and again.
    if (store.read.revocationsOf(seal.nodeIn(record)).some((each) => isSame(each.record, record))) return false;
    const revocation = seal.open(record);
    const others = fallenWith(this.#parts, revocation);
    const signer = seal.keyOf(revocation.issuer);
    if (revocation.fallen === undefined && this.#isItself(revocation.nodeId, signer)) throw refusedItself(revocation.name);
    const fresh = await store.write.saveRevocations({ stamp: chronicler.stamp(), act, revocations: [{ revocation, record, signer, with: others }] });
    if (fresh.length === 0) return false;
    this.#load();
    const removedFrom = store.read.removedFrom();
    if (removedFrom !== undefined) {
      await this.#selfRemoved(removedFrom);
      return true;
    }
    const gone = [revocation.nodeId, ...others];
    for (const nodeId of gone) log.warn({ ...peerFields({ nodeId, name: store.read.member(nodeId)?.name ?? revocation.name }), by: revocation.by }, `${store.read.member(nodeId)?.name ?? revocation.name} was removed from the mesh`);
    if (!this.#isDone(revocation.nodeId)) {
      log.warn(peerFields(revocation), `${revocation.name} let others in, which whoever removed it may not have known: its key still does; to end that: beckon mesh remove ${revocation.name}, once more, on a machine that lets others in`);
    }
    // It need not be a member here, and others are to hear of it all the same.
    state.memberChanged(revocation.nodeId);
    // All of them: another word on the same issuer may have kept others than this one does.
    onMembers(store.read.members().filter((each) => each.nodeId !== self.nodeId));
    for (const nodeId of gone) this.#afterwards(() => this.#part(nodeId));
    return true;
  }

  /** Removed, with all that is known of it: whoever removed it may not have known that it let others in. */
  #isDone(nodeId: NodeId): boolean {
    const { read } = this.#parts.store;
    return read.revocation(nodeId) !== undefined && this.#unfallen(read.member(nodeId)) === undefined;
  }

  /** The certificate by which it lets others in, or did, when no word has taken the trust from that key yet. */
  #unfallen(member: Member | undefined): Uint8Array | undefined {
    const { store, seal } = this.#parts;
    const issuer = member?.issuedAs;
    // One that has ended, or that no root vouches for any more, lets nobody in.
    if (issuer === undefined || !seal.isIssuer(issuer)) return undefined;
    const key = seal.keyOf(issuer);
    return store.read.fallenIssuers().some(({ revocation: { fallen } }) => fallen !== undefined && seal.keyOf(fallen.issuer) === key) ? undefined : issuer;
  }

  /** Whether that key is known as the fallen one of that node, which no honest node signs away: a node can't remove itself. */
  #isItself(nodeId: NodeId, signer: string): boolean {
    const { store, seal } = this.#parts;
    return store.read.revocationsOf(nodeId).some(({ revocation: { fallen } }) => fallen !== undefined && seal.keyOf(fallen.issuer) === signer);
  }

  /** Undefined where this node is no issuer. */
  #sign(nodeId: NodeId, by: string): SignedRecord | undefined {
    const { store, seal, clock } = this.#parts;
    const member = store.read.member(nodeId);
    const issuer = this.#unfallen(member);
    const revocation: Omit<Revocation, 'issuer'> = { nodeId, name: member?.name ?? nodeId, by, revokedAtMs: clock.now() };
    return seal.seal(issuer === undefined ? revocation : { ...revocation, fallen: fallenWithout(this.#parts, nodeId, issuer) });
  }

  async #ask(target: NodeId, by: string): Promise<SignedRecord> {
    const { store, mesh, self } = this.#parts;
    const all = store.read.members().filter((each) => each.isIssuer === true && belongs(each) && each.nodeId !== self.nodeId && each.nodeId !== target);
    const issuers = all.filter(({ owner }) => owner === self.owner());
    const wanted = store.read.member(target);
    if (issuers.length === 0 && wanted?.isIssuer === true && wanted.owner === self.owner()) {
      throw denied(`of your nodes only ${wanted.name} can remove a member, and a node can’t remove itself`, `on ${wanted.name}: beckon mesh leave`);
    }
    if (issuers.length === 0) {
      const named = all.map(({ name, owner }) => `${name} (${owner})`).join(', ');
      throw denied('only a node that lets others in can remove one, and none of them is yours', all.length === 0 ? 'this node has not met one yet' : `ask whose machine does: ${named}`);
    }
    const reached = await Promise.all(issuers.map(async ({ nodeId }) => mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, dialMs))));
    const reasons: string[] = [];
    for (const [index, { nodeId, name }] of issuers.entries()) {
      const link = reached[index];
      try {
        if (link !== undefined) return (await link.ask({ type: 'remove', nodeId: target, by }, askMs)).revocation;
        reasons.push(`${name} (${mesh().peers().find((each) => each.nodeId === nodeId)?.why ?? 'not reached'})`);
      } catch (error) {
        const known = toBrokerError(error);
        if (known.code === 'denied' || known.code === 'invalid') throw known;
        reasons.push(`${name} (${known.message})`);
      }
    }
    throw unavailable(`only a node that lets others in can remove one, and none of yours can be reached: ${reasons.join(', ')}`, 'nothing was done; when one of them is up and linked (beckon peers), say it again');
  }

  async #tell(link: Link | undefined, revocation: SignedRecord): Promise<boolean> {
    try {
      if (link === undefined) return false;
      await link.ask({ type: 'revoked', revocation }, tellMs);
      return true;
    } catch (error) {
      this.#parts.log.info({ ...(link === undefined ? {} : peerFields(link.peer)), why: toBrokerError(error).message }, 'a member could not be told now that another was removed');
      return false;
    }
  }

  #result(nodeId: NodeId, how: Pick<RemoveResult, 'already' | 'told' | 'untold'>): RemoveResult {
    const { store } = this.#parts;
    const known = store.read.revocation(nodeId);
    if (known === undefined) throw notFound(`${nodeId} was not removed`);
    const { name, by, revokedAtMs, fallen } = known.revocation;
    const letIn = this.#letInBy(fallen).map((each) => this.#nameOf(each));
    return { nodeId, name: store.read.member(nodeId)?.name ?? name, by, atMs: revokedAtMs, letIn, ...how };
  }

  /** Members that stay, and whom that issuer has certified, or had before another renewed them. */
  #letInBy(fallen: FallenIssuer | undefined): NodeId[] {
    const { store, seal } = this.#parts;
    if (fallen === undefined) return [];
    const first = store.read.firstIssuers().filter(({ nodeId, issuer }) => {
      const member = store.read.member(nodeId);
      return member !== undefined && belongs(member) && seal.isBy({ leaf: member.chain.leaf, issuer }, fallen.issuer);
    });
    return [...new Set([...fallen.kept, ...first.map(({ nodeId }) => nodeId)])];
  }

  #nameOf(nodeId: NodeId): string {
    const { store, self } = this.#parts;
    return nodeId === self.nodeId ? self.name() : (store.read.member(nodeId)?.name ?? nodeId);
  }

  #load(): void {
    const { read } = this.#parts.store;
    this.#removed = new Set([...read.revokedNodes(), ...read.members().filter((each) => each.removed !== undefined).map(({ nodeId }) => nodeId)]);
  }

  #refuseOutside(): void {
    const { read } = this.#parts.store;
    if (read.membership() === undefined) throw outsideError(read.removedFrom());
  }

  async #selfRemoved(from: RemovedFrom): Promise<void> {
    const { log, onSelfRemoved } = this.#parts;
    log.error({ mesh: from.meshName, by: from.by }, selfRemovedWords(from));
    await onSelfRemoved(from);
    this.#afterwards(() => this.#partFromAll(from));
  }

  /** What is not done when the node stops is done at its next start. */
  #afterwards(work: () => Promise<void>): void {
    this.#ending = this.#ending.then(work).catch((error: unknown) => this.#parts.log.error({ err: error }, 'work of a removed node could not be ended; it is tried again at the next start'));
  }

  async #partFromAll({ meshName, by }: RemovedFrom): Promise<void> {
    const { store, self } = this.#parts;
    const removed = `this node was removed from ${meshName} by ${by}`;
    for (const { nodeId, name } of store.read.members()) {
      if (nodeId === self.nodeId) continue;
      await this.#end(nodeId, {
        unsent: { code: 'unavailable', message: `${removed} before it could be handed over to ${name}` },
        sent: { code: 'unavailable', message: `${removed}: what became of it at ${name} will not be known here`, hint: 'it may have run: see what it did there' },
      });
    }
  }

  async #part(nodeId: NodeId): Promise<void> {
    const { store } = this.#parts;
    const known = store.read.member(nodeId);
    const name = known?.name ?? store.read.revocation(nodeId)?.revocation.name ?? nodeId;
    const by = known?.removed?.by ?? store.read.revocation(nodeId)?.revocation.by ?? '';
    await this.#end(nodeId, {
      // To its caller the agent is gone for good: `unavailable`. Nobody has denied the caller anything.
      unsent: { code: 'unavailable', message: `${name} was removed from the mesh by ${by} before this could be handed over`, hint: 'invoke it on another node' },
      sent: { code: 'unavailable', message: `${name} was removed from the mesh by ${by}: its word on this does not count any more`, hint: 'it may have run: see what it did before you invoke it again' },
    });
  }

  /** Can be done again from the beginning, however far it came. */
  async #end(nodeId: NodeId, words: { readonly unsent: ErrorInfo; readonly sent: ErrorInfo }): Promise<void> {
    await endAllTo(this.#parts, nodeId, words, 'denied');
    await this.#parts.runner.callerRemoved(nodeId);
    await this.#forgetAcknowledgements(nodeId);
  }

  /** Nobody will ever ask for the rest; unacknowledged it could not be pruned. */
  async #forgetAcknowledgements(originNodeId: NodeId): Promise<void> {
    const { store } = this.#parts;
    for (;;) {
      const open = store.read.unacknowledged(originNodeId, undefined, page);
      const over = open.filter(({ invocationId }) => isTerminal(store.read.flight(flightOfInvocation(invocationId))?.state ?? 'queued'));
      for (const { invocationId, lastSeq } of over) await store.write.acknowledged({ flightId: flightOfInvocation(invocationId), originNodeId, seq: lastSeq });
      if (over.length === 0 || open.length < page) return;
    }
  }
}

/** As what replicates is asked for; `removal` is made later. */
export function revocationsOf(read: Store['read'], removal: () => Removal): Revocations {
  return {
    revocations: (nodeId) => read.revocationsOf(nodeId).map(({ record }) => record),
    revoked: () => read.revokedNodes(),
    received: (record, act) => removal().received(record, act),
  };
}

export function selfRemovedWords({ meshName, by }: Pick<RemovedFrom, 'meshName' | 'by'>): string {
  return `this node was removed from ${meshName} by ${by}: it runs alone, and no member speaks to it; to forget that mesh, and be able to enter one again: beckon mesh leave`;
}

/** To one who asks to enter again. `unauthenticated`: of `denied` a stranger with a token is told no more than that it is not valid. */
export function removedKey(name: string, by: string): BrokerError {
  return new BrokerError('unauthenticated', `the key of this node is that of ${name}, which was removed from the mesh by ${by}: it can’t come back with it`, {
    hint: 'it needs a new key, on that machine: beckon mesh leave, then beckon restart, then join again',
    detail: { key: 'removed' },
  });
}

function refusedItself(name: string): BrokerError {
  return new BrokerError('unauthenticated', `a removal of ${name} is signed with the key that was taken from it`);
}

/** Whether that is `removedKey`, also when it came from another node. */
export function isRemovedKey({ code, detail }: BrokerError): boolean {
  return code === 'unauthenticated' && detail?.['key'] === 'removed';
}

function isSame(a: SignedRecord, b: SignedRecord): boolean {
  return Buffer.from(a.payload).equals(b.payload) && Buffer.from(a.signature).equals(b.signature);
}
