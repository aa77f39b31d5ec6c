/** What the store keeps of the mesh that this node is in, and of who else is. The general promises of store-port.ts hold. */
import type { AdmitRule, Applicant } from './admit-rule.ts';
import type { Act, AuditEntry, AuditWhat } from './audit.ts';
import type { Departure } from './departure.ts';
import type { EventKind, Stamp } from './event.ts';
import type { MeshId, NodeId } from './ids.ts';
import type { Invite, Member, Membership } from './membership.ts';
import type { SignedRecord } from './registration.ts';
import type { CertificateChain } from './trust.ts';

/** An agent of a node that has another name now. */
export interface Readdressed {
  readonly from: string;
  readonly to: string;
}

/** `act`: whose these are, for the audit; left out, this node's by itself. */
export interface MemberWrites {
  /** @throws `conflict` when there is a mesh already. `invite`: consumed by a member of this very call (none for create). */
  saveMembership(input: { stamp: Stamp; act?: Act | undefined; membership: Membership; members: readonly Member[]; what: 'mesh.created' | 'mesh.joined' }): Promise<void>;
  /** A new certificate for this node in the mesh it is in: it was renewed. */
  replaceOwnChain(input: { stamp: Stamp; act?: Act | undefined; name: string; chain: CertificateChain; untilMs?: number }): Promise<void>;
  /** With a new certificate, where it is in a mesh. Its agents, their sessions, and what waits for them or runs, get the addresses that follow, which are returned. */
  renameNode(input: { stamp: Stamp; act?: Act | undefined; name: string; chain: CertificateChain | undefined }): Promise<readonly Readdressed[]>;
  /** All that is known of the mesh and its members is forgotten; agents and flights stay. @throws `not_found` when it is in none */
  leaveMesh(input: { stamp: Stamp; act?: Act | undefined }): Promise<void>;
  addInvite(input: { stamp: Stamp; act?: Act | undefined; invite: Invite }): Promise<void>;
  /**
   * Consumes the invite and records the member in one transaction. The node that used it may, until its end, use it
   * again: its answer may have been lost. @throws `denied` for one that is used, late or unknown
   */
  redeemInvite(input: { stamp: Stamp; act?: Act | undefined; secretHash: string; member: Member; issuerDer?: Uint8Array }): Promise<void>;
  /** The member, without an invite: by a rule of admission, which `why` says. `issuerDer` when it becomes an issuer. It waits no longer. */
  admitMember(input: { stamp: Stamp; act?: Act | undefined; member: Member; why?: string; issuerDer?: Uint8Array }): Promise<void>;
  /** A machine that was not let in. Bounded: those who asked longest ago are forgotten. */
  recordApplicant(input: { stamp: Stamp; applicant: Omit<Applicant, 'sinceMs'> }): Promise<void>;
  /** Returns those that were new. @throws `overload` beyond 1000 */
  addAdmitRules(input: { stamp: Stamp; act?: Act | undefined; rules: readonly AdmitRule[] }): Promise<readonly AdmitRule[]>;
  /**
   * Members learned from peers (already verified), of that mesh and no other. `outranked`: those of them whose known certificate, later or not, is to go; so is
   * that of one which was removed with its issuer. Returns those that were new or newer.
   */
  saveMembers(input: { stamp: Stamp; act?: Act | undefined; members: readonly Member[]; outranked?: readonly NodeId[]; meshId?: MeshId }): Promise<readonly NodeId[]>;
  /** A member by a new certificate, whose name nobody else has. @throws `conflict` when somebody has */
  renameMember(input: { stamp: Stamp; act?: Act | undefined; member: Member }): Promise<void>;
  /** A member by a new certificate, under the name that it had, whoever has it besides. @throws `denied` for one that left or was removed */
  renewMember(input: { stamp: Stamp; act?: Act | undefined; member: Member; untilMs?: number }): Promise<void>;
  /** That member lets others in. */
  saveIssuer(input: { nodeId: NodeId; certificate: Uint8Array }): Promise<void>;
  /** This node, which holds the root's key, made that member one. @throws `denied` for one that was removed */
  addIssuer(input: { stamp: Stamp; act?: Act | undefined; nodeId: NodeId; certificate: Uint8Array }): Promise<void>;
  /** This node lets others in by that certificate. @throws `not_found` outside of a mesh */
  becomeIssuer(input: { stamp: Stamp; act?: Act | undefined; certificate: Uint8Array }): Promise<void>;
  /** What is known of roots and issuers besides the first root: already verified, all of it. `noIssuers`: members that let nobody in any more; with which certificate they did stays known. @throws `not_found` outside of a mesh */
  saveAuthorities(input: { stamp: Stamp; act?: Act | undefined; audit: readonly AuditWhat[]; authorities: Uint8Array; what: EventKind; detail?: Readonly<Record<string, string>>; noIssuers: readonly NodeId[] }): Promise<void>;
  /** The key of the mesh was written to a recovery file, or read from one. */
  recovered(input: { stamp: Stamp; what: 'recovery.exported' | 'recovery.imported'; detail?: Readonly<Record<string, string>>; audit: AuditEntry }): Promise<void>;
  /** This node lets nobody in any more. */
  ceaseIssuing(input: { stamp: Stamp }): Promise<void>;
  /** Already verified. Returns those whose word is kept, and which of them were members until now. */
  saveDepartures(input: { stamp: Stamp; act?: Act | undefined; departures: readonly { readonly departure: Departure; readonly record: SignedRecord }[] }): Promise<{ readonly heard: readonly NodeId[]; readonly gone: readonly NodeId[] }>;
}
