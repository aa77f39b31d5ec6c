/** This node's boots. */
import type { Stamp } from '../domain/event.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers } from './caches.ts';
import type { FactTable } from './events.ts';

export class NodeTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #facts: FactTable;
  readonly #epoch;
  readonly #boot;

  constructor(db: Connection, nodes: GrowingNodeNumbers, facts: FactTable) {
    this.#nodes = nodes;
    this.#facts = facts;
    this.#epoch = db.prepare<[number], { epoch: number | null }>('SELECT epoch FROM nodes WHERE number = ?');
    this.#boot = db.prepare('UPDATE nodes SET epoch = ?, version = ?, booted_at_ms = ? WHERE number = ?');
  }

  boot({ stamp, nodeId, version }: { stamp: Stamp; nodeId: NodeId; version: string }): { epoch: number } {
    const number = this.#nodes.of(nodeId);
    const epoch = Math.max((this.#epoch.get(number)?.epoch ?? 0) + 1, stamp.atMs);
    this.#boot.run(epoch, version, stamp.atMs, number);
    this.#facts.append(stamp, 'node.started', { detail: { epoch: String(epoch), version } });
    return { epoch };
  }
}
