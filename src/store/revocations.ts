/** Who was removed, and what of it follows in the same commit. */
import { BrokerError } from '../domain/errors.ts';
import { comesFirst } from '../domain/revocation.ts';
import type { StoredRevocation } from '../domain/revocation.ts';
import type { NodeId } from '../domain/ids.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';
import type { Input } from './protocol.ts';

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
  readonly #member;
  readonly #goneWith;
  readonly #restore;
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
      INSERT INTO revocations (node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node) DO UPDATE SET name = excluded.name, revoked_by = excluded.revoked_by, revoked_at_ms = excluded.revoked_at_ms,
        payload = excluded.payload, signature = excluded.signature, fallen_issuer = excluded.fallen_issuer, kept = excluded.kept`);
    this.#known = db.prepare<[number], { name: string; revoked_by: string }>('SELECT name, revoked_by FROM revocations WHERE node = ?');
    this.#fallen = db.prepare<[number], { node: number }>('SELECT node FROM members WHERE node = ? AND removed_with IS NOT NULL');
    this.#selfOut = db.prepare<[], { one: number }>('SELECT one FROM mesh WHERE removed_at_ms IS NOT NULL');
    this.#member = db.prepare<[number], { name: string; owner: string }>('SELECT name, owner FROM members WHERE node = ?');
    this.#goneWith = db.prepare<[number], { node: number }>('SELECT node FROM members WHERE removed_with = ? ORDER BY node');
    this.#restore = db.prepare<[number]>('UPDATE members SET removed_with = NULL WHERE removed_with = ?');
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
    for (const { revocation, record, with: others } of revocations) {
      const { nodeId, name, by, revokedAtMs, fallen } = revocation;
      const node = this.#nodes.of(nodeId);
      const known = this.#get.get(node);
      if (known !== undefined && !comesFirst({ atMs: revokedAtMs, record }, { atMs: known.revoked_at_ms, record: known })) continue;
      const fallenWith = others.map((each) => this.#nodes.of(each));
      // An earlier word on the same node may have kept others than this one does.
      const touched = [...new Set([node, ...fallenWith, ...this.#goneWith.all(node).map((each) => each.node)])];
      const wasOut = new Set(touched.filter((each) => this.#isOut(each)));
      this.#save.run(node, name, by, revokedAtMs, record.payload, record.signature, fallen?.issuer ?? null, fallen === undefined ? null : JSON.stringify(fallen.kept));
      this.#restore.run(node);
      for (const each of fallenWith) this.#removeWith.run(node, each);
      for (const each of [node, ...fallenWith]) {
        this.#forgetAddresses.run(each);
        this.#forgetApplicant.run(this.#nodes.idOf(each));
        for (const forget of this.#forget) forget.run(each);
      }
      if ([node, ...fallenWith].includes(this.#self)) this.#removeSelf.run(revokedAtMs, by);
      for (const each of touched) {
        if (this.#isOut(each) === wasOut.has(each)) continue;
        if (wasOut.has(each)) this.#tellBack(each, { stamp, act }, `the word of ${by} on ${name} came first, and keeps it`);
        else this.#tellOut(each, { stamp, act }, each === node ? { name, by } : { by: `${by}, with ${name}, which certified it` });
      }
      changed.push(nodeId);
    }
    return changed;
  }

  #isOut(node: number): boolean {
    return this.has(node) || this.#fallen.get(node) !== undefined || (node === this.#self && this.#selfOut.get() !== undefined);
  }

  #tellOut(node: number, { stamp, act }: Told, about: { readonly name?: string; readonly by: string }): void {
    this.#facts.append(stamp, 'member.removed', { peer: node, detail: about });
    this.#audit.append(stamp, { kind: 'member.removed', about: { nodeId: this.#nodes.idOf(node), ...about } }, act);
  }

  #tellBack(node: number, { stamp, act }: Told, why: string): void {
    const about = this.#member.get(node);
    this.#facts.append(stamp, 'member.admitted', { peer: node, detail: { ...about } });
    this.#audit.append(stamp, { kind: 'member.admitted', about: { nodeId: this.#nodes.idOf(node), ...about, why } }, act);
  }
}

export function revocationReads(db: Connection, nodes: NodeNumbers) {
  const one = db.prepare<[number], RevocationRow>('SELECT * FROM revocations WHERE node = ?');
  const all = db.prepare<[], RevocationRow>('SELECT * FROM revocations ORDER BY node');
  const fallen = db.prepare<[], RevocationRow>('SELECT * FROM revocations WHERE fallen_issuer IS NOT NULL ORDER BY node');
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
    revocations: (): StoredRevocation[] => all.all().map(revocationOf),
    firstIssuers: () => first.all().map(({ node, issuer }) => ({ nodeId: nodes.idOf(node), issuer })),
    fallenIssuers: (): StoredRevocation[] => fallen.all().map(revocationOf),
  };
}
