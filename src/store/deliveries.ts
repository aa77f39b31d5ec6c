/** Deliveries and their attempts. */
import { assertDeliveryMove, canMoveDelivery } from '../domain/delivery.ts';
import type { DeliveryState, FailureReason } from '../domain/delivery.ts';
import { deliveryOfInvocation } from '../domain/ids.ts';
import type { AttemptId, InvocationId } from '../domain/ids.ts';
import type { Delivery, DeliveryAttempt } from '../domain/records.ts';
import type { Connection } from './connection.ts';
import type { Arrivals } from './arrivals.ts';
import type { NodeNumbers } from './caches.ts';
import { optional } from './flight-row.ts';

export interface DeliveryRow {
  readonly invocation_id: InvocationId;
  readonly from_node: number;
  readonly to_node: number;
  status: DeliveryState;
  attempts: number;
  failure_reason: FailureReason | null;
  failure_detail: string | null;
  readonly created_at_ms: number;
  updated_at_ms: number;
  received_at_ms: number | null;
}

export interface Move {
  readonly to: DeliveryState;
  readonly atMs: number;
  readonly reason?: FailureReason;
  readonly detail?: string;
  readonly receivedAtMs?: number;
}

export class DeliveryTable {
  readonly #get;
  readonly #insert;
  readonly #save;
  readonly #beginAttempt;
  readonly #endAttempt;
  readonly #sentTo;
  readonly #sent;
  readonly #arrivals: Arrivals | undefined;

  constructor(db: Connection, arrivals?: Arrivals) {
    this.#arrivals = arrivals;
    this.#get = db.prepare<[InvocationId], DeliveryRow>('SELECT * FROM deliveries WHERE invocation_id = ?');
    this.#insert = db.prepare(`
      INSERT INTO deliveries (invocation_id, from_node, to_node, status, attempts, failure_reason, failure_detail,
        created_at_ms, updated_at_ms, received_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#save = db.prepare(`
      UPDATE deliveries SET status = ?, attempts = ?, failure_reason = ?, failure_detail = ?, updated_at_ms = ?, received_at_ms = ?
      WHERE invocation_id = ?`);
    this.#beginAttempt = db.prepare('INSERT INTO delivery_attempts (invocation_id, number, id, started_at_ms) VALUES (?, ?, ?, ?)');
    this.#endAttempt = db.prepare(
      'UPDATE delivery_attempts SET ended_at_ms = ?, outcome = ?, why = ? WHERE invocation_id = ? AND number = ? AND ended_at_ms IS NULL',
    );
    this.#sentTo = db.prepare<[number], { invocation_id: InvocationId }>(
      "SELECT invocation_id FROM deliveries WHERE to_node = ? AND status = 'sent' ORDER BY invocation_id",
    );
    this.#sent = db.prepare<[], { invocation_id: InvocationId }>(
      "SELECT invocation_id FROM deliveries WHERE status = 'sent' ORDER BY invocation_id",
    );
  }

  get(id: InvocationId): DeliveryRow | undefined {
    return this.#get.get(id);
  }

  /** A delivery is planned and makes its first move in one commit; none rests as `planned`. */
  insert(row: DeliveryRow, attempt?: AttemptId): void {
    assertDeliveryMove('planned', row.status);
    this.#insert.run(
      row.invocation_id, row.from_node, row.to_node, row.status, row.attempts, row.failure_reason, row.failure_detail,
      row.created_at_ms, row.updated_at_ms, row.received_at_ms,
    );
    if (attempt !== undefined) this.#beginAttempt.run(row.invocation_id, row.attempts, attempt, row.created_at_ms);
    this.#arrivals?.delivery(row.status);
  }

  /** Moves the delivery and ends its open attempt. False, and no change, where the table of moves has no such move. */
  move(row: DeliveryRow, { to, atMs, reason, detail, receivedAtMs }: Move): boolean {
    if (!canMoveDelivery(row.status, to)) return false;
    if (row.status === 'sent') {
      const outcome = to === 'received' || to === 'rejected' ? to : 'lost';
      this.#endAttempt.run(atMs, outcome, detail ?? null, row.invocation_id, row.attempts);
    }
    row.status = to;
    row.failure_reason = reason ?? null;
    row.failure_detail = detail ?? null;
    row.updated_at_ms = atMs;
    row.received_at_ms = receivedAtMs ?? row.received_at_ms;
    this.#write(row);
    return true;
  }

  /** `sent`, with the next attempt open. */
  send(row: DeliveryRow, attempt: AttemptId, atMs: number): void {
    assertDeliveryMove(row.status, 'sent');
    row.status = 'sent';
    row.attempts += 1;
    row.failure_reason = null;
    row.failure_detail = null;
    row.updated_at_ms = atMs;
    this.#write(row);
    this.#beginAttempt.run(row.invocation_id, row.attempts, attempt, atMs);
  }

  sentTo(node: number): InvocationId[] {
    return this.#sentTo.all(node).map((each) => each.invocation_id);
  }

  sent(): InvocationId[] {
    return this.#sent.all().map((each) => each.invocation_id);
  }

  #write(row: DeliveryRow): void {
    this.#save.run(
      row.status, row.attempts, row.failure_reason, row.failure_detail, row.updated_at_ms, row.received_at_ms, row.invocation_id,
    );
    this.#arrivals?.delivery(row.status);
  }
}

type Read = DeliveryRow & { readonly target: string };

export function deliveryReads(db: Connection, nodes: NodeNumbers) {
  const get = db.prepare<[InvocationId], Read>(
    'SELECT d.*, i.target FROM deliveries d JOIN invocations i ON i.id = d.invocation_id WHERE d.invocation_id = ?',
  );
  const deferred = db.prepare<[number, string, number], { invocation_id: InvocationId }>(`
    SELECT invocation_id FROM deliveries WHERE to_node = ? AND status = 'deferred' AND invocation_id > ?
    ORDER BY invocation_id LIMIT ?`);
  const attempts = db.prepare<[InvocationId], AttemptRow>('SELECT * FROM delivery_attempts WHERE invocation_id = ? ORDER BY number');
  return {
    delivery(id: InvocationId): Delivery | undefined {
      const row = get.get(id);
      return row === undefined ? undefined : deliveryOf(row, nodes);
    },
    deferred: (toNode: number, after: string, limit: number): InvocationId[] =>
      deferred.all(toNode, after, limit).map((each) => each.invocation_id),
    attempts: (id: InvocationId): DeliveryAttempt[] => attempts.all(id).map(attemptOf),
  };
}

interface AttemptRow {
  readonly invocation_id: InvocationId;
  readonly number: number;
  readonly id: AttemptId;
  readonly started_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly outcome: NonNullable<DeliveryAttempt['outcome']> | null;
  readonly why: string | null;
}

function attemptOf(row: AttemptRow): DeliveryAttempt {
  return {
    id: row.id,
    deliveryId: deliveryOfInvocation(row.invocation_id),
    number: row.number,
    startedAtMs: row.started_at_ms,
    ...optional('endedAtMs', row.ended_at_ms),
    ...optional('outcome', row.outcome),
    ...optional('why', row.why),
  };
}

function deliveryOf(row: Read, nodes: NodeNumbers): Delivery {
  return {
    id: deliveryOfInvocation(row.invocation_id),
    invocationId: row.invocation_id,
    fromNodeId: nodes.idOf(row.from_node),
    toNodeId: nodes.idOf(row.to_node),
    target: row.target,
    status: row.status,
    attempts: row.attempts,
    ...optional('failureReason', row.failure_reason),
    ...optional('failureDetail', row.failure_detail),
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
    ...optional('receivedAtMs', row.received_at_ms),
  };
}
