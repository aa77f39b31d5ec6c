/** Who was removed, and what of it follows in the same commit. */
import { BrokerError, overload } from '../domain/errors.ts';
import { comesFirst, mostFalls, mostStrangers } from '../domain/revocation.ts';
import type { StoredRevocation } from '../domain/revocation.ts';
import type { NodeId } from '../domain/ids.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';
import type { Input } from './protocol.ts';

const retryMs = 3_600_000;

export interface RevocationRow {
  readonly node: number;
  readonly name: string;
  readonly revoked_by: string;
  readonly revoked_at_ms: number;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly fallen_issuer: Uint8Array | null;
  readonly kept: string | null;
}

type Told = Pick<Input<'saveRevocations'>, 'stamp' | 'act'>;

export class RevocationTable {
  readonly #audit: AuditTable;
  readonly #nodes: GrowingNodeNumbers;
  readonly #self: number;
  readonly #facts: FactTable;
  readonly #get;
  readonly #save;
  readonly #known;
  readonly #fallen;
  readonly #selfOut;
  readonly #fall;
  readonly #saveFall;
  readonly #strangersOf;
  readonly #fallsBy;
  readonly #isMember;
  readonly #removeWith;
  readonly #forgetAddresses;
  readonly #forgetApplicant;
  readonly #forget;
  readonly #removeSelf;

  constructor(db: Connection, { nodes, self, facts, audit }: { readonly nodes: GrowingNodeNumbers; readonly self: number; readonly facts: FactTable; readonly audit: AuditTable }) {
    this.#audit = audit;
    this.#nodes = nodes;
    this.#self = self;
    this.#facts = facts;
    this.#get = db.prepare<[number], RevocationRow>('SELECT * FROM revocations WHERE node = ?');
    this.#save = db.prepare(`
      INSERT INTO revocations (node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept, signer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node) DO UPDATE SET name = excluded.name, revoked_by = excluded.revoked_by, revoked_at_ms = excluded.revoked_at_ms,
        payload = excluded.payload, signature = excluded.signature, fallen_issuer = excluded.fallen_issuer, kept = excluded.kept, signer = excluded.signer`);
    this.#fall = db.prepare<[number, Uint8Array], { node: number }>('SELECT node FROM falls WHERE node = ? AND payload = ?');
    this.#saveFall = db.prepare('INSERT INTO falls (node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept, signer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#strangersOf = db.prepare<[string], { count: number }>('SELECT count(*) AS count FROM revocations WHERE signer = ? AND node NOT IN (SELECT node FROM members)');
    this.#fallsBy = db.prepare<[number | null, string], { inAll: number; ofNode: number }>('SELECT count(*) AS inAll, coalesce(sum(node IS ?), 0) AS ofNode FROM falls WHERE signer = ?');
    this.#isMember = db.prepare<[number], { node: number }>('SELECT node FROM members WHERE node = ?');
    this.#known = db.prepare<[number], { name: string; revoked_by: string }>('SELECT name, revoked_by FROM revocations WHERE node = ?');
    this.#fallen = db.prepare<[number], { node: number }>('SELECT node FROM members WHERE node = ? AND removed_with IS NOT NULL');
    this.#selfOut = db.prepare<[], { one: number }>('SELECT one FROM mesh WHERE removed_at_ms IS NOT NULL');
    this.#removeWith = db.prepare<[number, number]>('UPDATE members SET removed_with = ? WHERE node = ?');
    this.#forgetAddresses = db.prepare<[number]>("UPDATE members SET addresses = '[]' WHERE node = ?");
    this.#forgetApplicant = db.prepare<[NodeId]>('DELETE FROM applicants WHERE node_id = ?');
    this.#forget = ['registrations', 'registry_heads', 'issuers'].map((table) => db.prepare<[number]>(`DELETE FROM ${table} WHERE node = ?`));
    this.#removeSelf = db.prepare<[number, string]>('UPDATE mesh SET removed_at_ms = ?, removed_by = ?');
  }

  has(node: number): boolean {
    return this.#known.get(node) !== undefined;
  }

  /** @throws BrokerError of that code, for a node that was removed */
  check(node: number, code: 'denied' | 'unavailable'): void {
    const known = this.#known.get(node);
    if (known !== undefined) throw new BrokerError(code, `${known.name} was removed from the mesh by ${known.revoked_by}`);
  }

  save({ stamp, act, revocations }: Input<'saveRevocations'>): NodeId[] {
    const changed: NodeId[] = [];
    for (const { revocation, record, signer, with: others } of revocations) {
      const { nodeId, name, by, revokedAtMs, fallen } = revocation;
      const found = this.#nodes.find(nodeId);
      const known = found === undefined ? undefined : this.#get.get(found);
      const isFirst = known === undefined || comesFirst({ atMs: revokedAtMs, record, fells: fallen !== undefined }, { atMs: known.revoked_at_ms, record: known, fells: known.fallen_issuer !== null });
      const isFall = fallen !== undefined && (found === undefined || this.#fall.get(found, record.payload) === undefined);
      if (!isFirst && !isFall) continue;
      if (signer !== undefined) this.#bound(signer, found, { isNew: known === undefined, isFall });
      const node = this.#nodes.of(nodeId);
      const fallenWith = others.map((each) => this.#nodes.of(each));
      const gone = [...new Set([node, ...fallenWith])];
      const wasOut = new Set(gone.filter((each) => this.#isOut(each)));
      const kept = fallen === undefined ? null : JSON.stringify(fallen.kept);
      const row = [node, name, by, revokedAtMs, record.payload, record.signature, fallen?.issuer ?? null, kept, signer ?? null] as const;
      if (isFirst) this.#save.run(...row);
      if (isFall) this.#saveFall.run(...row);
      for (const each of fallenWith) this.#removeWith.run(node, each);
      for (const each of gone) {
        this.#forgetAddresses.run(each);
        this.#forgetApplicant.run(this.#nodes.idOf(each));
        for (const forget of this.#forget) forget.run(each);
      }
      if ((node === this.#self && isFirst) || (gone.includes(this.#self) && !wasOut.has(this.#self))) this.#removeSelf.run(revokedAtMs, by);
      for (const each of gone) if (!wasOut.has(each)) this.#tellOut(each, { stamp, act }, each === node ? { name, by } : { by: `${by}, with ${name}, which certified it` });
      changed.push(nodeId);
    }
    return changed;
  }

  /** Whoever has an issuer's key could name nodes without end. @throws BrokerError `overload` */
  #bound(signer: string, node: number | undefined, { isNew, isFall }: { readonly isNew: boolean; readonly isFall: boolean }): void {
    const isStranger = isNew && (node === undefined || this.#isMember.get(node) === undefined);
    if (isStranger && (this.#strangersOf.get(signer)?.count ?? 0) >= mostStrangers) throw tooMany(`has removed ${mostStrangers} nodes that nobody here knows`);
    const falls = isFall ? this.#fallsBy.get(node ?? null, signer) : undefined;
    if (falls !== undefined && (falls.inAll >= mostFalls.inAll || falls.ofNode >= mostFalls.ofOneNode)) throw tooMany(`has taken the trust from issuers ${falls.inAll} times`);
  }

  #isOut(node: number): boolean {
    return this.has(node) || this.#fallen.get(node) !== undefined || (node === this.#self && this.#selfOut.get() !== undefined);
  }

  #tellOut(node: number, { stamp, act }: Told, about: { readonly name?: string; readonly by: string }): void {
    this.#facts.append(stamp, 'member.removed', { peer: node, detail: about });
    this.#audit.append(stamp, { kind: 'member.removed', about: { nodeId: this.#nodes.idOf(node), ...about } }, act);
  }
}

function tooMany(what: string): BrokerError {
  return overload(`the key that signed this removal ${what}: no more of it is taken`, retryMs);
}

export function revocationReads(db: Connection, nodes: NodeNumbers) {
  const one = db.prepare<[number], RevocationRow>('SELECT * FROM revocations WHERE node = ?');
  const columns = 'node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept';
  const others = 'FROM falls WHERE NOT EXISTS (SELECT 1 FROM revocations own WHERE own.node = falls.node AND own.payload = falls.payload)';
  const all = db.prepare<[], RevocationRow>(`SELECT ${columns} FROM revocations UNION ALL SELECT ${columns} ${others} ORDER BY node, revoked_at_ms, payload`);
  const ofNode = db.prepare<[number], RevocationRow>(`SELECT ${columns} ${others} AND node = ? ORDER BY revoked_at_ms, payload`);
  const revoked = db.prepare<[], { node: number }>('SELECT node FROM revocations ORDER BY node');
  const fallen = db.prepare<[], RevocationRow>(`SELECT ${columns} FROM falls ORDER BY node, revoked_at_ms, payload`);
  const first = db.prepare<[], { node: number; issuer: Uint8Array }>('SELECT node, let_in_by AS issuer FROM members WHERE let_in_by IS NOT NULL ORDER BY node');
  const revocationOf = (row: RevocationRow): StoredRevocation => ({
    revocation: {
      nodeId: nodes.idOf(row.node),
      name: row.name,
      by: row.revoked_by,
      revokedAtMs: row.revoked_at_ms,
      ...(row.fallen_issuer === null ? {} : { fallen: { issuer: row.fallen_issuer, kept: JSON.parse(row.kept ?? '[]') as NodeId[] } }),
    },
    record: { payload: row.payload, signature: row.signature },
  });
  return {
    revocation(nodeId: NodeId): StoredRevocation | undefined {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : one.get(number);
      return row === undefined ? undefined : revocationOf(row);
    },
    revocationsOf(nodeId: NodeId): StoredRevocation[] {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : one.get(number);
      return number === undefined || row === undefined ? [] : [row, ...ofNode.all(number)].map(revocationOf);
    },
    revocations: (): StoredRevocation[] => all.all().map(revocationOf),
    revokedNodes: (): NodeId[] => revoked.all().map(({ node }) => nodes.idOf(node)),
    firstIssuers: () => first.all().map(({ node, issuer }) => ({ nodeId: nodes.idOf(node), issuer })),
    fallenIssuers: (): StoredRevocation[] => fallen.all().map(revocationOf),
  };
}
