/** This node under another name, and out of its mesh. */
import { parseAddress, onNode } from '../domain/address.ts';
import { notFound } from '../domain/errors.ts';
import type { Connection } from './connection.ts';
import type { Input, Wire } from './protocol.ts';
import type { Tables } from './tables.ts';

export class MovingWrites {
  readonly #db: Connection;
  readonly #tables: Tables;
  readonly #addresses;
  readonly #moves;
  readonly #rememberNames;
  readonly #forgetRegistrations;
  readonly #forget;
  readonly #leftMesh;

  constructor(db: Connection, tables: Tables) {
    this.#db = db;
    this.#tables = tables;
    this.#addresses = db.prepare<[], { address: string }>('SELECT address FROM agents');
    this.#moves = [
      'UPDATE agents SET address = ? WHERE address = ?',
      'UPDATE agent_endpoints SET address = ? WHERE address = ?',
      'UPDATE agent_checkouts SET address = ? WHERE address = ?',
      'UPDATE project_instances SET address = ? WHERE address = ?',
      'UPDATE agent_sessions SET address = ? WHERE address = ?',
      "UPDATE flights SET target = ? WHERE target = ? AND state = 'queued' AND owned = 1",
      "UPDATE flights SET target = ? WHERE target = ? AND state IN ('running', 'waiting') AND owned = 1",
    ].map((sql) => db.prepare<[string, string]>(sql));
    this.#rememberNames = db.prepare('UPDATE nodes SET name = m.name FROM members m WHERE m.node = nodes.number');
    this.#forgetRegistrations = ['registrations', 'registry_heads'].map((table) => db.prepare(`DELETE FROM ${table}`));
    this.#forget = ['members', 'invites', 'admit_rules', 'applicants', 'issuers', 'revocations', 'falls', 'agent_shares', 'mesh'].map((table) => db.prepare(`DELETE FROM ${table}`));
    this.#leftMesh = db.prepare('INSERT INTO left_meshes (id, name, left_at_ms) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET left_at_ms = excluded.left_at_ms');
  }

  /** Agents keep their ids; their sessions, and what waits for them or runs, go with them. */
  rename({ stamp, act, name, chain }: Input<'renameNode'>): Wire<'renameNode'> {
    const { trust, queues, facts, audit } = this.#tables;
    if (chain !== undefined) trust.replaceOwnChain({ name, chain });
    const moved = this.#addresses.all().flatMap(({ address }) => (parseAddress(address).node === name ? [] : [{ from: address, to: onNode(address, name) }]));
    if (moved.length > 0) {
      // An endpoint follows its agent a statement later.
      this.#db.pragma('defer_foreign_keys = 1');
      for (const { from, to } of moved) for (const move of this.#moves) move.run(to, from);
      queues.clear();
    }
    if (chain !== undefined || moved.length > 0) {
      facts.append(stamp, 'node.renamed', { detail: { name } });
      audit.append(stamp, { kind: 'node.renamed', about: { name } }, act);
    }
    return moved;
  }

  /** Agents are shared with members of this mesh, and not of the next one. */
  leave({ stamp, act }: Input<'leaveMesh'>): void {
    const { trust, facts, audit } = this.#tables;
    const mesh = trust.own();
    if (mesh === undefined) throw notFound('this node is in no mesh');
    this.#rememberNames.run();
    for (const forget of [...this.#forgetRegistrations, ...this.#forget]) forget.run();
    this.#leftMesh.run(mesh.meshId, mesh.meshName, stamp.atMs);
    facts.append(stamp, 'mesh.left', { detail: { mesh: mesh.meshName, meshId: mesh.meshId } });
    audit.append(stamp, { kind: 'mesh.left', about: { mesh: mesh.meshName, meshId: mesh.meshId } }, act);
  }
}
