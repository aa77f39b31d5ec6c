/** Being a member: who else is, under which names, and leaving. Puts together the parts that speak of it. */
import { BrokerError } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { RevocationSeal } from '../domain/ports.ts';
import type { Membership, Member, RemovedFrom } from '../domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { Authorities } from './authorities.ts';
import type { AuthoritiesParts, AuthorityPorts } from './authorities.ts';
import { Appointing } from './appointing.ts';
import type { IssuerPorts } from './appointing.ts';
import { Leaving } from './leaving.ts';
import type { LeavingParts } from './leaving.ts';
import { Removal } from './removal.ts';
import type { RemovalParts } from './removal.ts';
import { Renewal } from './renewal.ts';
import type { RenewalParts } from './renewal.ts';
import { Renewals } from './renewals.ts';
import type { RenewalsParts } from './renewals.ts';
import { Renaming } from './renaming.ts';
import type { CertificateWish, RenamingParts } from './renaming.ts';
import { Roster } from './roster.ts';
import type { RosterParts } from './roster.ts';

/** What the core needs done outside of it: keys, certificates, the network port. */
export interface MembershipPorts extends IssuerPorts, AuthorityPorts {
  /** Undefined: this node is no issuer. */
  readonly certify: (wish: CertificateWish) => Promise<CertificateChain | undefined>;
  /** This node's own chain and name were replaced. */
  readonly onRenamed: (name: string) => Promise<void>;
  /** The same, under the name that it had. */
  readonly onRenewed: () => Promise<void>;
  /** What a certificate says, whoever signed it. @throws BrokerError */
  readonly readLeaf: (leaf: Uint8Array) => PeerIdentity;
  /** Against this mesh's root, as of now or, when it has ended, of its end: who that node is, and no more. @throws BrokerError `unauthenticated` */
  readonly recognise: (chain: CertificateChain) => PeerIdentity;
  readonly renewAtEntrance: RenewalParts['renewAtEntrance'];
  readonly isForsaken: RenewalParts['isForsaken'];
  readonly isFallen: RenewalsParts['isFallen'];
  readonly isDisowned: RenewalParts['isDisowned'];
  /** What is lost with this node's keys, a sentence each. */
  readonly lossesOfKeys: (membership: Membership, others: readonly Member[]) => Promise<readonly string[]>;
  /** This node was removed from its mesh: it speaks to nobody there any more. */
  readonly onSelfRemoved: (from: RemovedFrom) => Promise<void>;
  /** Its key is nobody's any more: another one from the next start on. */
  readonly renewKey: () => Promise<void>;
  /** A mesh refused this node's key as removed, and none has taken it since. */
  readonly isKeyRefused: () => boolean;
  readonly revocations: RevocationSeal;
  /** This node is in no mesh any more. */
  readonly onLeft: (membership: Pick<Membership, 'meshId' | 'name'>) => Promise<void>;
}

type Parts = Omit<RosterParts, 'onOwnChain' | 'onLeft' | 'recognise' | 'isFallen' | 'authorities'> &
  Pick<AuthoritiesParts, 'onChanged'> &
  Omit<RenamingParts, 'announce' | keyof MembershipPorts> &
  Omit<RenewalParts, 'take' | keyof MembershipPorts> &
  Omit<LeavingParts, 'roster' | keyof MembershipPorts> &
  Omit<RemovalParts, 'spread' | 'seal' | 'revocations' | keyof MembershipPorts> & {
    readonly ports: MembershipPorts;
    readonly harnesses: ReadonlyMap<string, Harness>;
    /** This node's registrations are to be told anew. */
    readonly onAddresses: () => void;
  };

export interface MembershipSides {
  readonly roster: Roster;
  readonly renaming: Renaming;
  /** Who lets others in. */
  readonly appointing: Appointing;
  /** Of this node's certificate. */
  readonly renewal: Renewal;
  /** Of those of others, by this node. */
  readonly renewals: Renewals;
  readonly leaving: Leaving;
  readonly removal: Removal;
  readonly authorities: Authorities;
  /** A member, by name or id. @throws `not_found` with the nearest names */
  readonly find: (text: string) => NodeId;
}

/** One that was stored before its form was asked for, and has another, counts no more than that of an issuer that fell. */
function hasFallen({ isFallen, readLeaf }: Pick<MembershipPorts, 'isFallen' | 'readLeaf'>, leaf: Uint8Array): boolean {
  try {
    return isFallen(readLeaf(leaf).certifiedBy);
  } catch (error) {
    if (error instanceof BrokerError) return true;
    throw error;
  }
}

export function makeMembership(parts: Parts): MembershipSides {
  const { ports, harnesses, onAddresses, ...shared } = parts;
  const roster: Roster = new Roster({
    ...shared,
    recognise: ports.recognise,
    isFallen: ({ leaf }) => hasFallen(ports, leaf),
    authorities: () => authorities,
    onOwnChain: (chain, identity) => renaming.adopt(chain, identity),
    onLeft: (nodeId) => leaving.memberLeft(nodeId),
  });
  const { mergeAuthorities, withdrawnIssuers, trustedRoots, issuesAs, onAuthorities } = ports;
  const authorities = new Authorities({ ...shared, mergeAuthorities, withdrawnIssuers, trustedRoots, issuesAs, onAuthorities, onTold: onAddresses });
  const renaming = new Renaming({
    ...shared,
    certify: ports.certify,
    announce: (members) => roster.announce(members),
    onRenewed: async () => {
      await ports.onRenewed();
      roster.announce();
    },
    onRenamed: async (name, agents) => {
      for (const { from, to } of agents) for (const harness of harnesses.values()) harness.renamed?.(from, to);
      parts.runner.renamed(agents);
      await ports.onRenamed(name);
      roster.announce();
      onAddresses();
    },
  });
  const { certify, readLeaf, recognise, renewAtEntrance, isForsaken, isFallen, isDisowned } = ports;
  const renewal = new Renewal({ ...shared, certify, readLeaf, renewAtEntrance, isForsaken, isDisowned, take: (chain) => renaming.renewed(chain) });
  const renewals = new Renewals({ ...shared, certify, recognise, isForsaken, isFallen, announce: (members) => roster.announce(members) });
  const { holdsRootKey, certifyIssuer, offerIssuerKey, isOffered, becomeIssuer, lifeOf, isOfKey } = ports;
  const appointing = new Appointing({ ...shared, holdsRootKey, certifyIssuer, offerIssuerKey, isOffered, becomeIssuer, lifeOf, isOfKey, announce: () => roster.rulesChanged() });
  const leaving = new Leaving({
    ...shared,
    roster,
    lossesOfKeys: ports.lossesOfKeys,
    renewKey: ports.renewKey,
    isKeyRefused: ports.isKeyRefused,
    onLeft: async (membership) => {
      await ports.onLeft(membership);
      onAddresses();
    },
  });
  const removal = new Removal({
    ...shared,
    seal: ports.revocations,
    onSelfRemoved: ports.onSelfRemoved,
    spread: (revocation, from) => shared.spread.tell({ type: 'registry_entry', entry: { revocation } }, from),
  });
  return { roster, renaming, appointing, renewal, renewals, leaving, removal, authorities, find: shared.find };
}
