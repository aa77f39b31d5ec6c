/** Lists of deliveries, newest first: one walk down the primary key, or down the index of one status. */
import type { InvocationId } from '../domain/ids.ts';
import type { DeliveryFilter } from '../domain/messages.ts';
import type { Delivery, Page, PageRequest } from '../domain/records.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { deliveryReads } from './deliveries.ts';
import { checkLimit } from './flight-list.ts';
import { firstIdAt, lastId } from './id-range.ts';

interface IdRow {
  readonly invocation_id: InvocationId;
}

export class DeliveryList {
  readonly #reads;
  readonly #all;
  readonly #byStatus;

  constructor(db: Connection, nodes: NodeNumbers) {
    this.#reads = deliveryReads(db, nodes);
    const between = 'invocation_id >= ? AND invocation_id < ? ORDER BY invocation_id DESC LIMIT ?';
    this.#all = db.prepare<[string, string, number], IdRow>(`SELECT invocation_id FROM deliveries WHERE ${between}`);
    this.#byStatus = db.prepare<[string, string, string, number], IdRow>(
      `SELECT invocation_id FROM deliveries INDEXED BY deliveries_by_status WHERE status = ? AND ${between}`,
    );
  }

  page({ status, invocationId, sinceMs }: DeliveryFilter, { limit, after }: PageRequest): Page<Delivery> {
    checkLimit(limit);
    const before = after === undefined ? lastId : decodeCursor('deliveries', after);
    const from = sinceMs === undefined ? '' : firstIdAt(sinceMs);
    if (invocationId !== undefined) {
      const one = invocationId >= from && invocationId < before ? this.#reads.delivery(invocationId) : undefined;
      return { items: one !== undefined && (status === undefined || one.status === status) ? [one] : [] };
    }
    const rows = status === undefined ? this.#all.all(from, before, limit + 1) : this.#byStatus.all(status, from, before, limit + 1);
    const ids = rows.map((each) => each.invocation_id);
    const items = ids.slice(0, limit).map((id) => this.#reads.delivery(id)).filter((each) => each !== undefined);
    const last = ids[limit - 1];
    return { items, ...(ids.length > limit && last !== undefined ? { next: encodeCursor('deliveries', last) } : {}) };
  }
}
