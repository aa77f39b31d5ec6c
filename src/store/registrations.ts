/** Every node's registrations, as their owners signed them. */
import { isNewerHead } from '../domain/registration.ts';
import type { RegistryHead, SignedRecord } from '../domain/registration.ts';
import type { NodeId } from '../domain/ids.ts';
import type { StoredRegistration } from '../domain/store-port.ts';
import { registrationOf, registrationValues } from './agents.ts';
import type { RegistrationRow } from './agents.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';

interface HeadRow {
  readonly epoch: number;
  readonly version: number;
  readonly count: number;
  readonly root_hash: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

type StoredRow = RegistrationRow & { readonly payload: Uint8Array; readonly signature: Uint8Array };

export class RegistrationTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #head;
  readonly #saveHead;
  readonly #clear;
  readonly #insert;

  constructor(db: Connection, nodes: GrowingNodeNumbers) {
    this.#nodes = nodes;
    this.#head = db.prepare<[number], HeadRow>('SELECT * FROM registry_heads WHERE node = ?');
    this.#saveHead = db.prepare(`
      INSERT OR REPLACE INTO registry_heads (node, epoch, version, count, root_hash, payload, signature, received_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#clear = db.prepare<[number]>('DELETE FROM registrations WHERE node = ?');
    this.#insert = db.prepare(`
      INSERT INTO registrations (node, address, harness, capabilities, labels, visibility, description, is_default, available,
        unavailable_why, payload, signature)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  }

  save(input: { head: RegistryHead; signedHead: SignedRecord; records: readonly StoredRegistration[]; atMs: number }): boolean {
    const { head, signedHead, records, atMs } = input;
    const node = this.#nodes.of(head.nodeId);
    const stored = this.#head.get(node);
    if (stored !== undefined && !isNewerHead(head, stored)) return false;
    this.#saveHead.run(node, head.epoch, head.version, head.count, head.rootHash, signedHead.payload, signedHead.signature, atMs);
    this.#clear.run(node);
    for (const { registration, record } of records) {
      this.#insert.run(...registrationValues(registration, node), record.payload, record.signature);
    }
    return true;
  }
}

export function registrationReads(db: Connection, nodes: NodeNumbers) {
  const head = db.prepare<[number], HeadRow>('SELECT * FROM registry_heads WHERE node = ?');
  const ofNode = db.prepare<[number], StoredRow>('SELECT * FROM registrations WHERE node = ? ORDER BY address');
  const all = db.prepare<[], StoredRow>('SELECT * FROM registrations ORDER BY node, address');
  const storedOf = (row: StoredRow): StoredRegistration => ({
    registration: registrationOf(row, nodes),
    record: { payload: row.payload, signature: row.signature },
  });
  return {
    head(nodeId: NodeId): { head: RegistryHead; signedHead: SignedRecord } | undefined {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : head.get(number);
      if (row === undefined) return undefined;
      const { epoch, version, count, root_hash: rootHash, payload, signature } = row;
      return { head: { nodeId, epoch, version, count, rootHash, addresses: [], gossipAddresses: [] }, signedHead: { payload, signature } };
    },
    registrations(nodeId?: NodeId): StoredRegistration[] {
      if (nodeId === undefined) return all.all().map(storedOf);
      const number = nodes.find(nodeId);
      return number === undefined ? [] : ofNode.all(number).map(storedOf);
    },
  };
}
