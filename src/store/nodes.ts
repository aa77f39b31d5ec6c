/** The boots of nodes: this node's own, and those seen of peers. */
import type { NodeId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { FactTable } from './events.ts';
import type { Input } from './protocol.ts';

interface Epochs {
  readonly epoch: number | null;
  readonly prior_epoch: number | null;
}

const epochsSql = 'SELECT epoch, prior_epoch FROM nodes WHERE number = ?';

export interface Boot {
  readonly epoch: number;
  /** 0 for the first. */
  readonly previousEpoch: number;
  /** The number of the newest fact before it. */
  readonly previousFact: number;
  /** The number of the fact that it began with. */
  readonly startedFact: number;
}

export class NodeTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #facts: FactTable;
  readonly #epochs;
  readonly #boot;
  readonly #saw;

  constructor(db: Connection, nodes: GrowingNodeNumbers, facts: FactTable) {
    this.#nodes = nodes;
    this.#facts = facts;
    this.#epochs = db.prepare<[number], Epochs>(epochsSql);
    this.#boot = db.prepare('UPDATE nodes SET epoch = ?, version = ?, booted_at_ms = ? WHERE number = ?');
    this.#saw = db.prepare('UPDATE nodes SET prior_epoch = epoch, epoch = ? WHERE number = ?');
  }

  boot({ stamp, nodeId, version, newest }: Input<'boot'>): Boot {
    const number = this.#nodes.of(nodeId);
    const previousEpoch = this.#epochs.get(number)?.epoch ?? 0;
    const epoch = Math.max(previousEpoch + 1, (newest?.epoch ?? 0) + 1, stamp.atMs);
    this.#boot.run(epoch, version, stamp.atMs, number);
    const previousFact = this.#facts.newest();
    const startedFact = this.#facts.append(stamp, 'node.started', { detail: { epoch: String(epoch), version } });
    return { epoch, previousEpoch, previousFact, startedFact };
  }

  /** The newest epoch of a peer, and the one before it: together they can show that its store was rolled back. */
  saw(nodeId: NodeId, epoch: number): void {
    const number = this.#nodes.of(nodeId);
    if (epoch > (this.#epochs.get(number)?.epoch ?? 0)) this.#saw.run(epoch, number);
  }
}

export function nodeReads(db: Connection, nodes: NodeNumbers) {
  const epochs = db.prepare<[number], Epochs>(epochsSql);
  return {
    seenEpochs(nodeId: NodeId): number[] {
      const number = nodes.find(nodeId);
      const row = number === undefined ? undefined : epochs.get(number);
      return row === undefined ? [] : [row.epoch, row.prior_epoch].filter((each) => each !== null);
    },
  };
}
