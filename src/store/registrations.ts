/** Every node's registrations, as their owners signed them. */
import type { RegistryHead, SignedRecord } from '../domain/registration.ts';
import type { NodeId } from '../domain/ids.ts';
import type { StoredRegistration } from '../domain/store-port.ts';
import { registrationOf, registrationValues } from './agents.ts';
import type { RegistrationRow } from './agents.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { Input } from './protocol.ts';

interface HeadRow {
  readonly node: number;
  readonly epoch: number;
  readonly version: number;
  readonly count: number;
  readonly root_hash: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly addresses: string;
  readonly gossip_addresses: string;
}

type StoredRow = RegistrationRow & { readonly payload: Uint8Array; readonly signature: Uint8Array; readonly hash: string };

export class RegistrationTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #head;
  readonly #saveHead;
  readonly #delete;
  readonly #insert;
  readonly #moveMember;

  constructor(db: Connection, nodes: GrowingNodeNumbers) {
    this.#nodes = nodes;
    this.#head = db.prepare<[number], HeadRow>('SELECT * FROM registry_heads WHERE node = ?');
    this.#saveHead = db.prepare(`
      INSERT OR REPLACE INTO registry_heads (node, epoch, version, count, root_hash, payload, signature, received_at_ms, addresses, gossip_addresses)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#delete = db.prepare<[number, string]>('DELETE FROM registrations WHERE node = ? AND hash = ?');
    this.#insert = db.prepare(`
      INSERT INTO registrations (node, address, harness, capabilities, labels, visibility, description, is_default, available,
        unavailable_why, payload, signature, hash)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#moveMember = db.prepare<[string, number]>('UPDATE members SET addresses = ? WHERE node = ? AND left_at_ms IS NULL');
  }

  save({ head, signedHead, base, records, gone, atMs }: Input<'saveRegistry'>): boolean {
    const node = this.#nodes.of(head.nodeId);
    const stored = this.#head.get(node);
    if (stored?.epoch !== base?.epoch || stored?.version !== base?.version) return false;
    const [addresses, gossipAddresses] = [head.addresses, head.gossipAddresses].map((each) => JSON.stringify(each));
    this.#saveHead.run(node, head.epoch, head.version, head.count, head.rootHash, signedHead.payload, signedHead.signature, atMs, addresses, gossipAddresses);
    for (const hash of gone) this.#delete.run(node, hash);
    for (const { registration, record, hash } of records) {
      this.#insert.run(...registrationValues(registration, node), record.payload, record.signature, hash);
    }
    // A node that listens nowhere now is looked for where it was.
    if (addresses !== undefined && head.addresses.length > 0) this.#moveMember.run(addresses, node);
    return true;
  }
}

export function registrationReads(db: Connection, nodes: NodeNumbers) {
  const head = db.prepare<[number], HeadRow>('SELECT * FROM registry_heads WHERE node = ?');
  const heads = db.prepare<[], HeadRow>('SELECT * FROM registry_heads ORDER BY node');
  const ofNode = db.prepare<[number], StoredRow>('SELECT * FROM registrations WHERE node = ? ORDER BY address');
  const all = db.prepare<[], StoredRow>('SELECT * FROM registrations ORDER BY node, address');
  const byHash = db.prepare<[number, string], Pick<StoredRow, 'payload' | 'signature'>>('SELECT payload, signature FROM registrations WHERE node = ? AND hash = ?');
  const storedOf = (row: StoredRow): StoredRegistration => ({
    registration: registrationOf(row, nodes),
    record: { payload: row.payload, signature: row.signature },
    hash: row.hash,
  });
  const headOf = ({ node, epoch, version, count, root_hash: rootHash, payload, signature, ...row }: HeadRow): { head: RegistryHead; signedHead: SignedRecord } => {
    const [addresses, gossipAddresses] = [JSON.parse(row.addresses) as string[], JSON.parse(row.gossip_addresses) as string[]];
    return { head: { nodeId: nodes.idOf(node), epoch, version, count, rootHash, addresses, gossipAddresses }, signedHead: { payload, signature } };
  };
  return {
    heads: () => heads.all().map(headOf),
    head(nodeId: NodeId): { head: RegistryHead; signedHead: SignedRecord } | undefined {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : head.get(number);
      return row === undefined ? undefined : headOf(row);
    },
    registrations(nodeId?: NodeId): StoredRegistration[] {
      if (nodeId === undefined) return all.all().map(storedOf);
      const number = nodes.find(nodeId);
      return number === undefined ? [] : ofNode.all(number).map(storedOf);
    },
    signed(nodeId: NodeId, hash: string): SignedRecord | undefined {
      const number = nodes.find(nodeId);
      return number === undefined ? undefined : byHash.get(number, hash);
    },
  };
}
