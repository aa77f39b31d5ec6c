/**
 * Which instances exist: this node's own, told to every peer as signed records when a link comes up and on change, and
 * what peers signed. A registration has one writer, its node.
 */
import { isFullyQualified, onNode, parseAddress } from '../domain/address.ts';
import type { Candidate } from '../domain/candidate.ts';
import { BrokerError } from '../domain/errors.ts';
import { nameHolders } from '../domain/name-holder.ts';
import type { Registry as RegistryMessage } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, RecordSeal } from '../domain/ports.ts';
import type { Registration, RegistrySnapshot } from '../domain/registration.ts';
import type { Store, StoredRegistration } from '../domain/store-port.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { Self } from './self.ts';

/** Of one node, in its whole set. */
export const registrationsPerNode = 5_000;

export interface RegistryParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
}

export class Registry {
  readonly #parts: RegistryParts;
  #version = 0;
  #snapshot: RegistrySnapshot | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  /** Calls `listen` after each change of what is known here, until the returned function is called. */
  onChange(listen: () => void): () => void {
    this.#listeners.add(listen);
    return () => void this.#listeners.delete(listen);
  }

  linkUp(link: Link): void {
    link.send({ type: 'registry', snapshot: this.#current() });
  }

  /** Own registrations, or the node's name, have changed. */
  changed(): void {
    this.#version += 1;
    this.#snapshot = undefined;
    this.#tell();
    const links = this.#parts.mesh().links();
    if (links.length === 0) return;
    const snapshot = this.#current();
    for (const link of links) link.send({ type: 'registry', snapshot });
  }

  /** @throws BrokerError `unauthenticated` or `invalid`: nothing of the set is believed then */
  async received(link: Link, { snapshot }: RegistryMessage): Promise<void> {
    const { peer } = link;
    const head = this.#parts.seal.openHead(snapshot.head, peer.publicKey);
    if (head.nodeId !== peer.nodeId) throw forged(peer, 'a head of another node');
    if (head.count !== snapshot.records.length || head.count > registrationsPerNode) throw forged(peer, 'a set that its head does not count');
    if (head.rootHash !== this.#parts.seal.rootHash(snapshot.records)) throw forged(peer, 'a set that its head does not name');
    const records = snapshot.records.map((record): StoredRegistration => {
      const registration = this.#parts.seal.openRegistration(record, peer.publicKey);
      checkOwn(registration, peer);
      return { registration, record };
    });
    await this.#parts.store.write.saveRegistry({ head, signedHead: snapshot.head, records, atMs: this.#parts.clock.now() });
    this.#tell();
  }

  /** All instances known here, with what is known of their nodes now. */
  candidates(): Candidate[] {
    const { store, self, mesh, clock } = this.#parts;
    const now = clock.now();
    const members = store.read.members();
    const holders = nameHolders([...members.filter((each) => each.left === undefined && each.nodeId !== self.nodeId), { nodeId: self.nodeId, name: self.name(), notBeforeMs: self.certifiedAtMs() }]);
    const own = store.read.ownRegistrations().map((registration) =>
      candidateOf(registration, { name: self.name(), owner: self.owner(), owned: holders.get(self.name()) === self.nodeId, state: 'here', lastSeenMs: now }),
    );
    const byId = new Map(members.map((member) => [member.nodeId, member]));
    const peers = new Map(mesh().peers().map((peer) => [peer.nodeId, peer]));
    for (const { registration } of store.read.registrations()) {
      const member = byId.get(registration.nodeId);
      if (member === undefined || registration.nodeId === self.nodeId) continue;
      const peer = peers.get(registration.nodeId);
      own.push(
        candidateOf(registration, {
          name: member.name,
          owner: member.owner,
          owned: (holders.get(member.name) ?? member.nodeId) === member.nodeId,
          state: member.left === undefined ? (peer?.state ?? 'unreachable') : 'left',
          lastSeenMs: Math.max(peer?.lastSeenMs ?? 0, member.lastSeenMs ?? 0),
          ...(peer?.rttMs === undefined ? {} : { rttMs: peer.rttMs }),
        }),
      );
    }
    return own;
  }

  #tell(): void {
    for (const listen of this.#listeners) listen();
  }

  #current(): RegistrySnapshot {
    this.#snapshot ??= this.#seal();
    return this.#snapshot;
  }

  #seal(): RegistrySnapshot {
    const { seal, self, store } = this.#parts;
    const records = store.read
      .ownRegistrations()
      .filter((each) => each.visibility === 'mesh')
      .map((each) => seal.sealRegistration(each));
    const head = { nodeId: self.nodeId, epoch: self.epoch, version: this.#version, count: records.length, rootHash: seal.rootHash(records), addresses: [], gossipAddresses: [] };
    return { head: seal.sealHead(head), records };
  }
}

interface NodeFacts {
  readonly name: string;
  readonly owner: string;
  readonly owned: boolean;
  readonly state: Candidate['nodeState'];
  readonly lastSeenMs: number;
  readonly rttMs?: number;
}

function candidateOf(registration: Registration, node: NodeFacts): Candidate {
  const { agent, workspace } = parseAddress(registration.address);
  return {
    address: onNode(registration.address, node.name),
    agent,
    workspace: workspace ?? '',
    nodeId: registration.nodeId,
    nodeName: node.name,
    nodeNameOwned: node.owned,
    owner: node.owner,
    harness: registration.harness,
    capabilities: registration.capabilities,
    labels: registration.labels,
    isDefault: registration.isDefault,
    available: registration.available,
    ...(registration.unavailableWhy === undefined ? {} : { unavailableWhy: registration.unavailableWhy }),
    nodeState: node.state,
    lastSeenMs: node.lastSeenMs,
    ...(node.rttMs === undefined ? {} : { rttMs: node.rttMs }),
  };
}

function checkOwn(registration: Registration, peer: PeerIdentity): void {
  if (registration.nodeId !== peer.nodeId) throw forged(peer, 'a registration of another node');
  // Its node is called what its certificate says, whatever stands here: that may have been renamed a moment ago.
  if (!isFullyQualified(parseAddress(registration.address))) throw forged(peer, `the address ${registration.address}, which is not whole`);
}

function forged(peer: PeerIdentity, what: string): BrokerError {
  return new BrokerError('unauthenticated', `${peer.name} sent ${what}`);
}
