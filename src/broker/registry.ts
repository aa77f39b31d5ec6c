/**
 * Which instances exist, the same at every node: this node tells of its own agents, believes of each other node what that
 * node signed, and passes both on. News go out at once; comparing digests finds what they did not bring.
 */
import { toBrokerError } from '../domain/errors.ts';
import type { Candidate } from '../domain/candidate.ts';
import { noGossip } from '../domain/gossip-port.ts';
import type { Gossip, GossipHandler, GossipNews, GossipVerdict } from '../domain/gossip-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { RegistryAnswer, RegistryQuery } from '../domain/messages.ts';
import type { Link, LinkDigest, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Digest, Log, Random, RecordSeal, Startable } from '../domain/ports.ts';
import type { Registration, SignedRecord } from '../domain/registration.ts';
import type { Member, Store } from '../domain/store-port.ts';
import { Candidates } from './candidates.ts';
import type { Chronicler } from './chronicler.ts';
import type { BrokerMeasures } from './measures.ts';
import { OwnRegistrations } from './own-registrations.ts';
import { PeerLimits } from './peer-limits.ts';
import { ReconciliationRounds } from './reconciliation-rounds.ts';
import { RegistryAnswers } from './registry-answers.ts';
import { RegistryIntake } from './registry-intake.ts';
import type { Taken } from './registry-intake.ts';
import { RegistrySpread } from './registry-spread.ts';
import { RegistryState } from './registry-state.ts';
import type { RegistryStateParts, Revocations } from './registry-state.ts';
import type { Roster } from './roster.ts';
import type { Self } from './self.ts';

export interface RegistryParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly digest: Digest;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly ownAddresses: () => readonly string[];
  /** Of a node that gossips; where it listens for it, host:port. */
  readonly gossip?: () => Gossip;
  readonly gossipAddresses?: () => readonly string[];
  readonly revocations?: Revocations;
  readonly counts: RegistryStateParts['counts'];
  /** How busy a node is, in its own words. */
  readonly onPresence?: (presence: SignedRecord, from: NodeId) => Promise<GossipVerdict>;
  /** Members became known, or known by other addresses: they may be dialled. */
  readonly onMembers: (members: readonly Member[]) => void;
  readonly roster: () => Roster;
  readonly measures?: BrokerMeasures | undefined;
  /** What the head of an issuer says of roots and issuers; it proves itself, or nothing. */
  readonly onAuthorities?: (authorities: Uint8Array, from: NodeId) => void;
}

/** What gossip is to do with news of which this became. */
const verdicts: Readonly<Record<Taken, GossipVerdict>> = { applied: 'accept', known: 'accept', behind: 'accept', stale: 'ignore', unknown: 'ignore' };

export class Registry implements Startable {
  readonly state: RegistryState;
  readonly spread: RegistrySpread;
  readonly #parts: RegistryParts;
  readonly #limits: PeerLimits;
  readonly #own: OwnRegistrations;
  readonly #intake: RegistryIntake;
  readonly #rounds: ReconciliationRounds;
  readonly #answers: RegistryAnswers;
  readonly #candidates: Candidates;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    const { store, self, seal, digest, chronicler, mesh, clock, random, log, ownAddresses, roster } = parts;
    const gossip = parts.gossip ?? (() => noGossip);
    this.#limits = new PeerLimits(clock, log, parts.measures?.onOverLimit);
    this.state = new RegistryState({ store, self, seal, digest, revocations: parts.revocations, counts: parts.counts });
    this.spread = new RegistrySpread({ mesh, gossip });
    const shared = { store, self, seal, mesh, clock, log, limits: this.#limits, state: this.state, spread: this.spread };
    this.#own = new OwnRegistrations({ ...shared, chronicler, ownAddresses, gossipAddresses: parts.gossipAddresses ?? (() => []), authorities: () => (store.read.membership()?.isIssuer === true ? store.read.membership()?.authorities : undefined) });
    this.#intake = new RegistryIntake({ ...shared, own: this.#own, onMembers: parts.onMembers, onAuthorities: (bytes, from) => parts.onAuthorities?.(bytes, from) });
    this.#rounds = new ReconciliationRounds({ ...shared, random, roster, intake: this.#intake });
    this.#answers = new RegistryAnswers(shared);
    this.#candidates = new Candidates(shared);
  }

  start(): Promise<void> {
    this.#own.start();
    this.#rounds.start();
    // Heads that were stored by a version which knew nothing of it.
    for (const { head } of this.state.heads()) if (head.authorities !== undefined && head.nodeId !== this.#parts.self.nodeId) this.#parts.onAuthorities?.(head.authorities, head.nodeId);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#intake.stop();
    await this.#rounds.stop();
    await this.#own.stop();
  }

  /** Calls `listen` after each change of what is known here, until the returned function is called. */
  onChange(listen: () => void): () => void {
    return this.state.onChange(listen);
  }

  linkUp(link: Link): void {
    // Only now is it sure where this node listens.
    this.#own.changed();
    this.#rounds.linkUp(link);
  }

  linkDown(link: Link): void {
    this.#rounds.linkDown(link);
  }

  /** What heartbeats say. */
  ownDigest(): LinkDigest {
    const { gossip, self } = this.#parts;
    return { root: self.mesh() === undefined ? '' : this.state.digest.root, gossips: (gossip?.().neighbours().size ?? 0) > 0 };
  }

  /** What a peer's heartbeat said. */
  onDigest(link: Link, { root, gossips }: LinkDigest): void {
    this.spread.heard(link, gossips);
    if (root !== '') this.#rounds.onDigest(link, root);
  }

  /** Own agents, addresses, name or mesh have changed. Told as soon as it is stored. */
  changed(): void {
    this.state.ownChanged();
    this.#own.changed();
  }

  /** Certificate, departure or revocation of those nodes, or what they are called, has changed. */
  membersChanged(members: readonly Pick<Member, 'nodeId'>[]): void {
    for (const { nodeId } of members) this.state.memberChanged(nodeId);
  }

  /** What a neighbour in gossip passed on. */
  readonly gossiped: GossipHandler = async (news, from) => {
    try {
      return await this.#heard(news, from);
    } catch (error) {
      return this.#refused(error, from);
    }
  };

  /** What a peer told over its session. */
  async news(link: Link, news: GossipNews): Promise<void> {
    const { nodeId } = link.peer;
    await this.#heard(news, nodeId).catch((error: unknown) => this.#refused(error, nodeId));
  }

  /** @throws BrokerError `overload` */
  answer(link: Link, query: RegistryQuery): Promise<RegistryAnswer> {
    return this.#answers.answer(link, query);
  }

  /** All instances known here, or all of one agent, with what is known of their nodes now. */
  candidates(agent?: string): Candidate[] {
    return this.#candidates.find(agent);
  }

  /** Those that are wanted, in the order of their addresses. */
  page(isWanted: (candidate: Candidate) => boolean, after: string | undefined, limit: number): ReturnType<Candidates['page']> {
    return this.#candidates.page(isWanted, after, limit);
  }

  /** What a candidate of this was made of, as its node told it. */
  registration(candidate: Candidate): Registration | undefined {
    return this.#candidates.registration(candidate);
  }

  async #heard(news: GossipNews, from: NodeId): Promise<GossipVerdict> {
    if (!this.#limits.take(from)) {
      this.#parts.measures?.registryNews.add('limited');
      return 'ignore';
    }
    switch (news.type) {
      case 'registry_change':
        return this.#change(news.change, from);
      case 'registry_entry': {
        const learned = await this.#parts.roster().entries([news.entry], from);
        const { head } = news.entry;
        if (head !== undefined) return this.#change({ head, records: [], gone: [] }, from);
        return learned > 0 ? 'accept' : 'ignore';
      }
      case 'presence':
        return (await this.#parts.onPresence?.(news.presence, from)) ?? 'ignore';
    }
  }

  async #change(change: Parameters<RegistryIntake['heard']>[0], from: NodeId): Promise<GossipVerdict> {
    const taken = await this.#intake.heard(change, from);
    this.#parts.measures?.registryNews.add(taken);
    const link = taken === 'unknown' ? this.#parts.mesh().link(from) : undefined;
    // Who told of it knows more of who is a member.
    if (link !== undefined) this.#rounds.want(link);
    return verdicts[taken];
  }

  #refused(error: unknown, from: NodeId): GossipVerdict {
    const known = toBrokerError(error);
    this.#limits.complain(from, known.message);
    this.#parts.measures?.registryNews.add('refused');
    return known.code === 'unauthenticated' || known.code === 'invalid' ? 'reject' : 'ignore';
  }
}
