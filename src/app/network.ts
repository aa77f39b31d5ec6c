/** The network side of a node: the port that others reach, the entrance for strangers, sessions with peers. */
import { randomBytes } from 'node:crypto';
import type { Admission } from '../broker/admission.ts';
import type { Chronicler } from '../broker/chronicler.ts';
import type { Act, Audit } from '../domain/audit.ts';
import type { DiscoverySource } from '../domain/discovery-port.ts';
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import type { GossipHandler } from '../domain/gossip-port.ts';
import { formatHostPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Health } from '../domain/health-port.ts';
import type { NodeId } from '../domain/ids.ts';
import { Distribution, secondBounds } from '../domain/measure.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { LinkHandler } from '../domain/mesh-port.ts';
import type { Clock, Log, Random, Startable } from '../domain/ports.ts';
import { removedWords } from '../domain/membership.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Member } from '../domain/store-port.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';
import type { Judge, MeshIdentity } from '../domain/trust.ts';
import type { Gone } from '../mesh/gone.ts';
import type { GossipMember } from '../gossip/gossip.ts';
import { createMesh } from '../mesh/mesh.ts';
import type { NodeMesh } from '../mesh/node-mesh.ts';
import { clientTls } from '../trust/client-tls.ts';
import { Entrance } from '../trust/entrance.ts';
import { enrolmentHandler } from '../trust/enrolment.ts';
import type { EnrolmentDesk } from '../trust/enrolment.ts';
import { Front, inNoMesh } from '../trust/front.ts';
import type { Refusal } from '../trust/front.ts';
import type { Issuer } from '../trust/mesh-authority.ts';
import type { NodeKey } from '../trust/node-key.ts';
import type { RenewalDesk } from '../trust/renewal.ts';
import type { GossipWish } from './gossip-plan.ts';
import { Gossiping } from './gossiping.ts';
import { CallerStandings } from './caller-standings.ts';
import { identifyCaller } from './identify.ts';
import { isLoopback } from './listen.ts';
import { InboundEnds } from './inbound-ends.ts';
import { Listening } from './listening.ts';
import { Recheck } from './recheck.ts';
import { entranceRefused, frontRefused, memberOf, peerRefused } from './refusal-audit.ts';
import { RefusalLog } from './refusal-log.ts';
import type { Standing } from './standing.ts';
import { tailnetRoute } from './tailnet.ts';
import { localAddressTowards } from './way-out.ts';

export interface NetworkParts {
  readonly nodeId: NodeId;
  readonly nodeKey: NodeKey;
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly seenEpochs: (nodeId: NodeId) => readonly number[];
  readonly standing: Standing;
  /** A member said that this node was removed, by that word of an issuer, which is not checked yet. */
  readonly onRevoked: (revocation: SignedRecord, act: Act) => void;
  readonly version: string;
  /** Undefined: on the tailnet, or on this machine alone. */
  readonly listen: readonly HostPort[] | undefined;
  readonly gossip: { readonly wish: GossipWish; readonly members: () => readonly GossipMember[]; readonly handler: GossipHandler };
  /** Started and stopped with the network. */
  readonly tailnet: Tailnet | undefined;
  readonly sources: readonly DiscoverySource[];
  /** Somebody wanted to speak to this node, which is in no mesh. */
  readonly onKnock: () => void;
  /** Others can reach this node elsewhere than before. */
  readonly onMoved: () => void;
  /** For sockets that lead through tailscaled; this user's alone. */
  readonly socketDir: string;
  readonly identity: MeshIdentity | undefined;
  readonly issuer: () => Issuer | undefined;
  readonly admission: () => Admission;
  /** Of a member whose certificate has ended. */
  readonly renew: RenewalDesk;
  readonly links: LinkHandler;
  readonly health: Health;
  readonly audit: Audit;
  readonly chronicler: Chronicler;
  readonly onOverLimit: OverLimit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Network implements Startable {
  readonly mesh: NodeMesh;
  readonly gossip: Gossiping;
  readonly tickLateSeconds = new Distribution(secondBounds);
  readonly #parts: NetworkParts;
  readonly #front: Front;
  readonly #standing: Standing;
  readonly #refusals: RefusalLog;
  readonly #entrance: Entrance;
  readonly #listening: Listening;
  readonly #recheck: Recheck | undefined;
  /** What the tailnet says of peers; undefined where there is none. */
  readonly callers: CallerStandings | undefined;
  readonly #ends = new InboundEnds();
  readonly #releases: (() => void)[] = [];

  constructor(parts: NetworkParts) {
    this.#parts = parts;
    const { clock, log, identity } = parts;
    this.#standing = parts.standing;
    this.#refusals = new RefusalLog(clock, log);
    const told = (refusal: Refusal): void => {
      this.#refusals.refused(refusal);
      if (refusal.limit !== undefined) parts.onOverLimit(refusal.limit);
    };
    const onRefused = (refusal: Refusal): void => {
      told(refusal);
      if (refusal.why === inNoMesh) parts.onKnock();
      frontRefused(parts.audit, refusal);
    };
    // Behind a tailscaled without a network interface everybody comes from this machine's own address.
    const isShared = (host: string): boolean => this.#listening.isGuarded && isLoopback({ host, port: 0 });
    this.#entrance = new Entrance({
      ...{ clock, isShared },
      onRefused: (refusal) => {
        told(refusal);
        entranceRefused(parts.audit, refusal);
      },
      handle: enrolmentHandler({ clock, nodeId: parts.nodeId, issuer: parts.issuer, desk: deskOf(parts.admission), renew: parts.renew, identify: (ends) => this.#identify(ends) }),
    });
    const judge: Judge = (peer) => this.#standing.judge(peer);
    this.#front = new Front({
      judge,
      onMember: (socket, peer) => {
        this.#ends.arrived(socket);
        this.mesh.accept(socket, peer);
      },
      onStranger: (socket, remoteAddress) => this.#entrance.admit(socket, remoteAddress),
      onRefused,
      isShared,
      now: () => clock.monotonic(),
      vet: (ends) => this.#listening.vet(ends),
    });
    const { listen: fixed, tailnet } = parts;
    const onMoved = (): void => {
      this.gossip.moved();
      parts.onMoved();
    };
    this.#listening = new Listening({ front: this.#front, fixed, tailnet, onMoved, clock, log });
    this.gossip = new Gossiping({
      ...{ ...parts.gossip, nodeKey: parts.nodeKey, onMoved: parts.onMoved, onOverLimit: parts.onOverLimit, clock, random: parts.random, log },
      surroundings: () => ({ bound: this.#front.addresses(), isAnyPort: fixed?.some(({ port }) => port === 0) === true, isGuarded: this.#listening.isGuarded }),
    });
    this.gossip.setMesh(identity?.meshId);
    this.mesh = createMesh({
      identity,
      clock,
      log,
      random: parts.random,
      tickLateSeconds: this.tickLateSeconds,
      seeds: [],
      route: tailnetRoute(tailnet, parts.socketDir),
      handler: {
        ...parts.links,
        onUp: (link) => {
          this.callers?.began(link.peer.nodeId);
          this.#recheck?.look();
          this.gossip.setRefused(false);
          parts.links.onUp(link);
        },
        onRefusedAsClone: (peer, why) => {
          this.gossip.setRefused(this.mesh.links().length === 0);
          parts.links.onRefusedAsClone?.(peer, why);
        },
      },
      tls: (own, expectation) => clientTls(own, { ...expectation, judge }),
      removed: (peer) => {
        const removed = this.#standing.tell(peer);
        if (removed !== undefined) peerRefused(parts.audit, peer, removed.why, { via: 'session' });
        return removed;
      },
      refusal: (peer) => this.#standing.refusal(peer),
      health: parts.health,
      onOverLimit: parts.onOverLimit,
      // One that was removed is let in to be told so, and not to tell: it may have been an issuer, and sign what it likes.
      onRevoked: (revocation, from) => this.#standing.revocationOf(from) === undefined && parts.onRevoked(revocation, { who: memberOf(from), from: { via: 'session' } }),
      hello: {
        epoch: parts.epoch,
        previousEpoch: parts.previousEpoch,
        seenEpochs: parts.seenEpochs,
        bootNonce: new Uint8Array(randomBytes(16)),
        version: parts.version,
        addresses: () => this.addresses().map(formatHostPort),
        hlc: () => parts.chronicler.stamp().hlc,
      },
    });
    this.#recheck = tailnet === undefined ? undefined : new Recheck({ tailnet, mesh: this.mesh, log });
    this.callers = tailnet === undefined ? undefined : new CallerStandings({ tailnet, sessions: () => this.mesh.sessions(), localAddressOf: (remote) => this.#ends.localAddressOf(remote), wayOut: localAddressTowards, clock, log });
  }

  /** @throws BrokerError as `Front.start` does: a port that is taken, an address that is not this machine's */
  async start(): Promise<void> {
    this.#front.setIdentity(this.#parts.identity);
    const { tailnet, sources } = this.#parts;
    await tailnet?.start();
    await this.#listening.start();
    await this.gossip.start();
    await this.#recheck?.start();
    await this.callers?.start();
    await this.mesh.start();
    for (const source of sources) {
      const tell = (): void => this.mesh.setCandidates(source.name, source.candidates());
      this.#releases.push(source.onChange(tell));
      await source.start();
      tell();
    }
  }

  async stop(): Promise<void> {
    for (const release of this.#releases.splice(0)) release();
    await Promise.all(this.#parts.sources.map((source) => source.stop()));
    await this.#recheck?.stop();
    await this.callers?.stop();
    await this.#parts.tailnet?.stop();
    await this.gossip.stop();
    await this.#listening.stop();
    await this.#entrance.stop();
    await this.mesh.stop();
    this.#refusals.stop();
  }

  /** Where others can reach this node; none before `start`. */
  addresses(): readonly HostPort[] {
    return this.#listening.addresses();
  }

  /** Members that are linked now and say where they gossip. */
  gossipingLinks(): number {
    const gossiping = new Set(this.#parts.gossip.members().filter((each) => each.gossipAddresses.length > 0).map(({ nodeId }) => nodeId));
    return this.mesh.links().filter(({ peer }) => gossiping.has(peer.nodeId)).length;
  }

  /** What its owner should know of how it can be reached. */
  note(): string | undefined {
    return this.#listening.note();
  }

  /** Who asks to enter, by the word of the tailnet alone. @throws BrokerError `denied` or `unavailable`, with the reason */
  #identify(ends: { readonly remoteAddress: string; readonly localAddress: string }): Promise<TailnetIdentity> {
    return identifyCaller(this.#parts.tailnet, { remote: parseHostPort(ends.remoteAddress), localAddress: ends.localAddress });
  }

  /** Undefined: this node is in no mesh from now on. */
  setIdentity(identity: MeshIdentity | undefined): void {
    this.#front.setIdentity(identity);
    this.mesh.setIdentity(identity);
    this.gossip.setMesh(identity?.meshId);
  }

  addMembers(members: readonly Member[]): void {
    this.gossip.membersChanged();
    this.mesh.addMembers(members.map((each) => ({ identity: { nodeId: each.nodeId, name: each.name }, addresses: each.addresses, ...goneOf(each) })));
    this.#standing.cutAmong(members, this.mesh.sessions());
  }
}

function goneOf({ left, removed }: Member): { readonly gone?: Gone } {
  if (removed !== undefined) return { gone: { kind: 'removed', why: removedWords(removed), revocation: removed.record } };
  return left === undefined ? {} : { gone: { kind: 'left' } };
}

/** Trust speaks of addresses as pairs, records as text. */
function deskOf(admission: () => Admission): EnrolmentDesk {
  return {
    quote: (applicant) => admission().quote({ ...applicant, addresses: applicant.addresses.map(formatHostPort) }),
    advise: (identity) => admission().advise(identity),
    admit: async (applicant, grant, chain, issuerCertificate) => {
      const welcome = await admission().admit({ ...applicant, addresses: applicant.addresses.map(formatHostPort) }, grant, chain, issuerCertificate);
      const members = welcome.members.map((each) => ({ chain: each.chain, addresses: each.addresses.map((address) => parseHostPort(address)) }));
      return { meshName: welcome.meshName, members };
    },
  };
}
