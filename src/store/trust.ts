/** The mesh this node is in, its members, and the invitations it gave. */
import type { Departure } from '../domain/departure.ts';
import type { Act } from '../domain/audit.ts';
import { exactCertificate, exactChain } from '../domain/certificate-bytes.ts';
import { conflict, denied, notFound } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { Invite, Member, Membership, RemovedFrom } from '../domain/store-port.ts';
import { isLaterCertificate, isSameCertificate } from '../domain/trust.ts';
import type { CertificateChain } from '../domain/trust.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { FactTable } from './events.ts';
import type { RevocationTable } from './revocations.ts';
import { optional } from './flight-row.ts';
import type { Input } from './protocol.ts';
import { Refusal } from './refusal.ts';

interface MeshRow {
  readonly id: MeshId;
  readonly mesh_name: string;
  readonly name: string;
  readonly owner: string;
  readonly root: Uint8Array;
  readonly leaf: Uint8Array;
  readonly issuer: Uint8Array;
  readonly is_issuer: 0 | 1;
  readonly own_issuer: Uint8Array | null;
  readonly authorities: Uint8Array | null;
  readonly recovery_at_ms: number | null;
  readonly removed_at_ms: number | null;
  readonly removed_by: string | null;
}

interface MemberRow {
  readonly node: number;
  readonly name: string;
  readonly owner: string;
  readonly leaf: Uint8Array;
  readonly issuer: Uint8Array;
  readonly not_before_ms: number;
  readonly named_since_ms: number | null;
  readonly addresses: string;
  readonly last_seen_ms: number | null;
  readonly is_issuer: 0 | 1;
  readonly issuer_certificate: Uint8Array | null;
  readonly left_at_ms: number | null;
  readonly departure: Uint8Array | null;
  readonly departure_signature: Uint8Array | null;
  readonly removed_at_ms: number | null;
  readonly removed_by: string | null;
  readonly revocation: Uint8Array | null;
  readonly revocation_signature: Uint8Array | null;
  readonly left_certified_at_ms: number | null;
}

/** With the revocation that says that it is none: its own, or that of the issuer which certified it. */
const selectMembers = `
  SELECT members.*, r.revoked_at_ms AS removed_at_ms, r.revoked_by AS removed_by, r.payload AS revocation, r.signature AS revocation_signature
  FROM members LEFT JOIN revocations own ON own.node = members.node LEFT JOIN revocations r ON r.node = coalesce(own.node, removed_with)`;

interface InviteRow {
  readonly owner: string;
  readonly expires_at_ms: number;
  readonly used_at_ms: number | null;
  readonly used_by: number | null;
}

export class TrustTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #facts: FactTable;
  readonly #revocations: RevocationTable;
  readonly #audit: AuditTable;
  readonly #mesh;
  readonly #insertMesh;
  readonly #replaceChain;
  readonly #member;
  readonly #saveMember;
  readonly #backAgain;
  readonly #saveAddresses;
  readonly #saw;
  readonly #holder;
  readonly #setIssuer;
  readonly #becomeIssuer;
  readonly #saveAuthorities;
  readonly #ceaseIssuing;
  readonly #recovered;
  readonly #noIssuer;
  readonly #setLeft;
  readonly #insertInvite;
  readonly #invite;
  readonly #useInvite;

  constructor(db: Connection, { nodes, facts, revocations, audit }: { readonly nodes: GrowingNodeNumbers; readonly facts: FactTable; readonly revocations: RevocationTable; readonly audit: AuditTable }) {
    this.#audit = audit;
    this.#nodes = nodes;
    this.#facts = facts;
    this.#revocations = revocations;
    this.#mesh = db.prepare<[], MeshRow>('SELECT * FROM mesh');
    this.#insertMesh = db.prepare(`
      INSERT INTO mesh (one, id, mesh_name, name, owner, root, leaf, issuer, is_issuer, own_issuer, authorities, since_ms) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#replaceChain = db.prepare('UPDATE mesh SET name = ?, leaf = ?, issuer = ?');
    this.#member = db.prepare<[number], MemberRow>(`${selectMembers} WHERE members.node = ?`);
    this.#saveMember = db.prepare(`
      INSERT INTO members (node, name, owner, leaf, issuer, not_before_ms, named_since_ms, addresses, last_seen_ms, let_in_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node) DO UPDATE SET name = excluded.name, owner = excluded.owner, leaf = excluded.leaf, issuer = excluded.issuer,
        not_before_ms = excluded.not_before_ms, named_since_ms = excluded.named_since_ms, addresses = excluded.addresses, removed_with = NULL,
        last_seen_ms = coalesce(excluded.last_seen_ms, last_seen_ms)`);
    // Its word counts for certificates up to the one that it names.
    this.#backAgain = db.prepare<[number, number]>(`
      UPDATE members SET left_at_ms = NULL, departure = NULL, departure_signature = NULL, left_certified_at_ms = NULL
      WHERE node = ? AND left_certified_at_ms < ?`);
    this.#saveAddresses = db.prepare('UPDATE members SET addresses = ? WHERE node = ?');
    this.#saw = db.prepare<[number, number]>('UPDATE members SET last_seen_ms = max(coalesce(last_seen_ms, 0), ?) WHERE node = ?');
    this.#holder = db.prepare<[string, number, string], { node: number }>(`
      SELECT node FROM members WHERE name = ? AND node <> ? AND left_at_ms IS NULL AND removed_with IS NULL AND node NOT IN (SELECT node FROM revocations) UNION ALL SELECT 0 FROM mesh WHERE name = ? LIMIT 1`);
    this.#setIssuer = db.prepare<[Uint8Array, number]>('UPDATE members SET is_issuer = 1, issuer_certificate = ? WHERE node = ?');
    this.#becomeIssuer = db.prepare<[Uint8Array]>('UPDATE mesh SET is_issuer = 1, own_issuer = ? WHERE removed_at_ms IS NULL');
    this.#saveAuthorities = db.prepare<[Uint8Array]>('UPDATE mesh SET authorities = ?');
    this.#recovered = db.prepare<[number]>('UPDATE mesh SET recovery_at_ms = ?');
    this.#ceaseIssuing = db.prepare('UPDATE mesh SET is_issuer = 0, own_issuer = NULL');
    this.#noIssuer = ['UPDATE members SET is_issuer = 0 WHERE node = ?', 'DELETE FROM issuers WHERE node = ?'].map((sql) => db.prepare<[number]>(sql));
    this.#setLeft = db.prepare('UPDATE members SET left_at_ms = ?, departure = ?, departure_signature = ?, left_certified_at_ms = ?, addresses = ? WHERE node = ?');
    this.#insertInvite = db.prepare('INSERT INTO invites (secret_hash, owner, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?)');
    this.#invite = db.prepare<[string], InviteRow>('SELECT * FROM invites WHERE secret_hash = ?');
    this.#useInvite = db.prepare('UPDATE invites SET used_at_ms = ?, used_by = ? WHERE secret_hash = ?');
  }

  saveMembership(input: Input<'saveMembership'>): void {
    const { stamp, act, membership, members, what } = input;
    const known = this.#mesh.get();
    if (known !== undefined) throw conflict(`this node is in the mesh ${known.mesh_name} already`, 'leave it first: beckon mesh leave');
    const { meshId, meshName, name, owner, rootDer, chain, isIssuer, issuerDer, authorities } = membership;
    this.#insertMesh.run(meshId, meshName, name, owner, rootDer, chain.leaf, chain.issuer, isIssuer ? 1 : 0, issuerDer ?? null, authorities ?? null, stamp.atMs);
    for (const member of members) this.#save(member);
    this.#facts.append(stamp, what, { detail: { mesh: meshName, meshId } });
    this.#audit.append(stamp, { kind: what, about: { mesh: meshName, meshId, owner } }, act);
  }

  renewOwnChain({ stamp, act, name, chain, untilMs }: Input<'replaceOwnChain'>): void {
    this.replaceOwnChain({ name, chain });
    this.#facts.append(stamp, 'node.renewed');
    this.#audit.append(stamp, { kind: 'node.renewed', about: untilOf(untilMs) }, act);
  }

  replaceOwnChain({ name, chain }: { name: string; chain: CertificateChain }): void {
    if (this.#replaceChain.run(name, chain.leaf, chain.issuer).changes === 0) throw notFound('this node is in no mesh');
  }

  nameOf(nodeId: NodeId): string | undefined {
    return this.#member.get(this.#nodes.of(nodeId))?.name;
  }

  own(): { readonly meshId: MeshId; readonly meshName: string } | undefined {
    const row = this.#mesh.get();
    return row === undefined ? undefined : { meshId: row.id, meshName: row.mesh_name };
  }

  renameMember({ stamp, act, member }: Input<'renameMember'>): void {
    const node = this.#nodes.of(member.nodeId);
    this.#revocations.check(node, 'denied');
    if (this.#holder.get(member.name, node, member.name) !== undefined) throw nameTaken(member.name);
    this.#save(member);
    this.#facts.append(stamp, 'member.renamed', { peer: node, detail: { name: member.name } });
    this.#audit.append(stamp, { kind: 'member.renamed', about: { nodeId: member.nodeId, name: member.name } }, act);
  }

  renewMember({ stamp, act, member, untilMs }: Input<'renewMember'>): void {
    const node = this.#nodes.of(member.nodeId);
    this.#revocations.check(node, 'denied');
    const known = this.#member.get(node);
    if (known !== undefined && known.left_at_ms !== null) throw denied(`${known.name} has left the mesh`);
    this.#save(member);
    this.#facts.append(stamp, 'member.renewed', { peer: node });
    this.#audit.append(stamp, { kind: 'member.renewed', about: { nodeId: member.nodeId, name: member.name, ...untilOf(untilMs) } }, act);
  }

  becomeIssuer({ stamp, act, certificate }: Input<'becomeIssuer'>): void {
    if (this.#becomeIssuer.run(certificate).changes === 0) throw notFound('this node is in no mesh');
    this.#facts.append(stamp, 'issuer.added');
    this.#audit.append(stamp, { kind: 'issuer.added', about: {} }, act);
  }

  saveAuthorities({ stamp, act, authorities, what, detail, audit, noIssuers }: Input<'saveAuthorities'>): void {
    if (this.#saveAuthorities.run(authorities).changes === 0) throw notFound('this node is in no mesh');
    for (const nodeId of noIssuers) {
      const node = this.#nodes.find(nodeId);
      if (node !== undefined) for (const forget of this.#noIssuer) forget.run(node);
    }
    this.#facts.append(stamp, what, detail === undefined ? {} : { detail });
    for (const entry of audit) this.#audit.append(stamp, entry, act);
  }

  /** The key of the mesh is in a file. */
  recovered({ stamp, what, detail, audit }: Input<'recovered'>): void {
    this.#recovered.run(stamp.atMs);
    this.#facts.append(stamp, what, detail === undefined ? {} : { detail });
    this.#audit.record({ stamp, entries: [audit] });
  }

  ceaseIssuing({ stamp }: { stamp: Stamp }): void {
    if (this.#ceaseIssuing.run().changes > 0) this.#facts.append(stamp, 'issuer.ceased');
  }

  saveIssuer({ nodeId, certificate }: { nodeId: NodeId; certificate: Uint8Array }): void {
    const node = this.#nodes.find(nodeId);
    if (node !== undefined) this.#setIssuer.run(certificate, node);
  }

  saveDepartures({ stamp, act, departures }: Input<'saveDepartures'>): { readonly heard: readonly NodeId[]; readonly gone: readonly NodeId[] } {
    const heard: NodeId[] = [];
    const gone: NodeId[] = [];
    for (const { departure, record } of departures) {
      const node = this.#nodes.find(departure.nodeId);
      const known = node === undefined ? undefined : this.#member.get(node);
      if (node === undefined || known === undefined || this.#revocations.has(node) || departure.certifiedAtMs < known.not_before_ms || !isLaterWord(departure, known)) continue;
      this.#setLeft.run(departure.leftAtMs, record.payload, record.signature, departure.certifiedAtMs, '[]', node);
      heard.push(departure.nodeId);
      if (known.left_at_ms !== null) continue;
      this.#facts.append(stamp, 'member.left', { peer: node, detail: { name: known.name } });
      this.#audit.append(stamp, { kind: 'member.left', about: { nodeId: departure.nodeId, name: known.name } }, act);
      gone.push(departure.nodeId);
    }
    return { heard, gone };
  }

  addInvite({ stamp, act, invite }: Input<'addInvite'>): void {
    this.#insertInvite.run(invite.secretHash, invite.owner, stamp.atMs, invite.expiresAtMs);
    this.#facts.append(stamp, 'invite.created', { detail: { owner: invite.owner } });
    this.#audit.append(stamp, { kind: 'invite.made', about: { invite: inviteOf(invite.secretHash), owner: invite.owner, ...untilOf(invite.expiresAtMs) } }, act);
  }

  redeemInvite({ stamp, act, secretHash, member }: Input<'redeemInvite'>): void | Refusal {
    const invite = this.#invite.get(secretHash);
    if (invite === undefined) return this.#refuse(stamp, member, 'this node gave no such invitation');
    const isAgain = invite.used_by !== null && invite.used_by === this.#nodes.find(member.nodeId);
    if (invite.used_at_ms !== null && !isAgain) return this.#refuse(stamp, member, 'the invitation was used already');
    if (stamp.atMs >= invite.expires_at_ms) return this.#refuse(stamp, member, 'the invitation is past its end');
    const node = this.#nodes.of(member.nodeId);
    this.#revocations.check(node, 'denied');
    this.#useInvite.run(stamp.atMs, node, secretHash);
    const { nodeId, name, owner } = member;
    const named = inviteOf(secretHash);
    this.#audit.append(stamp, { kind: 'invite.used', about: { invite: named, nodeId, name, owner } }, act);
    this.admit({ stamp, act, member, why: `invite ${named}` });
  }

  /** @throws BrokerError `denied` for a node that was removed: its key is nobody's any more */
  admit({ stamp, act, member, why }: Input<'admitMember'>): void {
    this.#revocations.check(this.#nodes.of(member.nodeId), 'denied');
    this.#save(member);
    this.#admitted({ stamp, act, why }, member);
  }

  #admitted({ stamp, act, why }: { readonly stamp: Stamp; readonly act: Act | undefined; readonly why: string | undefined }, { nodeId, name, owner }: Member): void {
    this.#facts.append(stamp, 'member.admitted', { peer: this.#nodes.of(nodeId), detail: { name, owner } });
    this.#audit.append(stamp, { kind: 'member.admitted', about: { nodeId, name, owner, ...(why === undefined ? {} : { why }) } }, act);
  }

  saveMembers({ stamp, act, members, instead = [], meshId }: Input<'saveMembers'>): NodeId[] {
    const changed: NodeId[] = [];
    // Learned of a mesh that this node has left since.
    if (meshId !== undefined && this.#mesh.get()?.id !== meshId) return changed;
    for (const member of members) {
      const node = this.#nodes.of(member.nodeId);
      if (this.#revocations.has(node)) continue;
      const known = this.#member.get(node);
      // Removed with its issuer, and by another certificate a member all the same.
      const isBack = known !== undefined && (known.removed_at_ms !== null || instead.includes(member.nodeId)) && !isSameCertificate(member.chain.leaf, exactCertificate(known.leaf));
      if (known === undefined || isBack || isLaterCertificate({ notBeforeMs: member.notBeforeMs, leaf: member.chain.leaf }, { notBeforeMs: known.not_before_ms, leaf: exactCertificate(known.leaf) })) {
        this.#save(member);
        changed.push(member.nodeId);
        // One that went with the issuer that had certified it comes back by another's certificate.
        if (known === undefined || known.removed_at_ms !== null) this.#admitted({ stamp, act, why: 'by another node, as its certificate proves' }, member);
        continue;
      }
      const addresses = JSON.stringify(member.addresses);
      const isSame = member.notBeforeMs === known.not_before_ms;
      if (isSame && member.addresses.length > 0 && addresses !== known.addresses) this.#saveAddresses.run(addresses, node);
    }
    return changed;
  }

  saw({ nodeId, atMs }: { nodeId: NodeId; atMs: number }): void {
    const node = this.#nodes.find(nodeId);
    if (node !== undefined) this.#saw.run(atMs, node);
  }

  /** The refusal is a fact of its own, and stays. */
  #refuse(stamp: Stamp, member: Member, why: string): Refusal {
    this.#facts.append(stamp, 'invite.refused', { detail: { name: member.name, nodeId: member.nodeId, why } });
    return new Refusal(denied(why, 'ask for a new one: beckon mesh invite'));
  }

  #save(member: Member): void {
    const { chain, addresses } = member;
    this.#saveMember.run(
      this.#nodes.of(member.nodeId), member.name, member.owner, chain.leaf, chain.issuer, member.notBeforeMs, member.namedSinceMs ?? null,
      JSON.stringify(addresses), member.lastSeenMs ?? null, chain.issuer,
    );
    this.#backAgain.run(this.#nodes.of(member.nodeId), member.notBeforeMs);
  }
}

function exactOrNone(der: Uint8Array | null): Uint8Array | null {
  return der === null ? null : exactCertificate(der);
}

/** Of two departures of one node all members keep the same. */
function isLaterWord({ certifiedAtMs, leftAtMs }: Departure, known: MemberRow): boolean {
  if (known.left_at_ms === null || known.left_certified_at_ms === null) return true;
  return certifiedAtMs > known.left_certified_at_ms || (certifiedAtMs === known.left_certified_at_ms && leftAtMs > known.left_at_ms);
}

/** Tells invitations apart, and is of no use to guess one. */
function inviteOf(secretHash: string): string {
  return secretHash.slice(0, 12);
}

function untilOf(untilMs: number | undefined): { readonly until?: string } {
  return untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() };
}

function nameTaken(name: string): BrokerError {
  return conflict(`another node of this mesh is called ${name}`, 'take another name');
}

function leftOf({ left_at_ms: atMs, departure: payload, departure_signature: signature }: MemberRow): Pick<Member, 'left'> {
  return atMs === null || payload === null || signature === null ? {} : { left: { atMs, record: { payload, signature } } };
}

function removedOf({ removed_at_ms: atMs, removed_by: by, revocation: payload, revocation_signature: signature }: MemberRow): Pick<Member, 'removed'> {
  return atMs === null || payload === null || signature === null ? {} : { removed: { atMs, by: by ?? '', record: { payload, signature } } };
}

export function trustReads(db: Connection, nodes: NodeNumbers) {
  const mesh = db.prepare<[], MeshRow>('SELECT * FROM mesh WHERE one = 1');
  const ownMesh = db.prepare<[], { id: MeshId; name: string }>('SELECT id, mesh_name AS name FROM mesh WHERE one = 1 AND removed_at_ms IS NULL');
  const members = db.prepare<[], MemberRow>(`${selectMembers} ORDER BY members.name, members.node`);
  const member = db.prepare<[number], MemberRow>(`${selectMembers} WHERE members.node = ?`);
  const named = db.prepare<[string], MemberRow>(`${selectMembers} WHERE members.name = ?`);
  const memberOf = (row: MemberRow): Member => ({
    nodeId: nodes.idOf(row.node),
    name: row.name,
    owner: row.owner,
    chain: exactChain(row),
    notBeforeMs: row.not_before_ms,
    ...optional('namedSinceMs', row.named_since_ms),
    addresses: JSON.parse(row.addresses) as string[],
    ...optional('lastSeenMs', row.last_seen_ms),
    ...(row.is_issuer === 1 ? { isIssuer: true } : {}),
    ...optional('issuerDer', row.is_issuer === 1 ? exactOrNone(row.issuer_certificate) : null),
    ...optional('issuedAs', exactOrNone(row.issuer_certificate)),
    ...leftOf(row),
    ...removedOf(row),
  });
  const invite = db.prepare<[string], InviteRow>('SELECT * FROM invites WHERE secret_hash = ?');
  const left = db.prepare<[string], { id: string }>('SELECT id FROM left_meshes WHERE id = ?');
  const former = db.prepare<[string], { name: string | null }>('SELECT name FROM nodes WHERE id = ?');
  return {
    hasLeft: (meshId: MeshId): boolean => left.get(meshId) !== undefined,
    formerName: (nodeId: NodeId): string | undefined => former.get(nodeId)?.name ?? undefined,
    invite(secretHash: string): (Invite & { readonly usedBy?: NodeId }) | undefined {
      const row = invite.get(secretHash);
      if (row === undefined) return undefined;
      return { secretHash, owner: row.owner, expiresAtMs: row.expires_at_ms, ...(row.used_by === null ? {} : { usedBy: nodes.idOf(row.used_by) }) };
    },
    membership(): Membership | undefined {
      const row = mesh.get();
      if (row === undefined || row.removed_at_ms !== null) return undefined;
      return {
        meshId: row.id,
        meshName: row.mesh_name,
        name: row.name,
        owner: row.owner,
        rootDer: exactCertificate(row.root),
        chain: exactChain(row),
        isIssuer: row.is_issuer === 1,
        ...optional('issuerDer', row.own_issuer === null ? null : exactCertificate(row.own_issuer)),
        ...optional('authorities', row.authorities),
        ...optional('recoveryMs', row.recovery_at_ms),
      };
    },
    mesh: (): { readonly id: MeshId; readonly name: string } | undefined => ownMesh.get(),
    removedFrom(): RemovedFrom | undefined {
      const row = mesh.get();
      if (row === undefined || row.removed_at_ms === null) return undefined;
      return { meshId: row.id, meshName: row.mesh_name, name: row.name, owner: row.owner, by: row.removed_by ?? '', atMs: row.removed_at_ms };
    },
    members: (): Member[] => members.all().map(memberOf),
    membersNamed: (name: string): Member[] => named.all(name).map(memberOf),
    member(nodeId: NodeId): Member | undefined {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : member.get(number);
      return row === undefined ? undefined : memberOf(row);
    },
  };
}
