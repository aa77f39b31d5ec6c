/**
 * How many flights wait for each agent of this node, and of whom: kept by the writer, so that a flood is refused at the
 * cost of a look into memory. All of it can be read again.
 */
import { overload } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { hasPlace } from '../domain/queue-share.ts';
import type { Connection } from './connection.ts';

interface Queue {
  waiting: number;
  /** By the number of the origin. */
  readonly byOrigin: Map<number, number>;
  /** As the agent's registration says. */
  readonly limit: number | undefined;
}

interface Place {
  readonly target: string;
  readonly origin: number;
}

export interface QueueBound {
  /** For an agent whose registration names none. */
  readonly queueLimit: number;
  /** When a place may be free again, ms. */
  readonly retryAfterMs?: number;
}

const usualRetryMs = 5_000;

export class QueueCounts {
  readonly #queues = new Map<string, Queue>();
  /** Of this batch, so that a member which fails can be taken back alone. */
  readonly #changes: (Place & { readonly by: 1 | -1 })[] = [];
  readonly #origins;
  readonly #limit;

  constructor(db: Connection) {
    this.#origins = db.prepare<[string], { origin: number }>("SELECT origin FROM flights WHERE target = ? AND state = 'queued' AND owned = 1");
    this.#limit = db.prepare<[string], { queue: number | null }>('SELECT queue FROM agent_endpoints WHERE address = ?');
  }

  /** Why one more of that origin finds no place: `overload`. */
  refusal({ target, origin }: Place, { queueLimit, retryAfterMs = usualRetryMs }: QueueBound): BrokerError | undefined {
    const queue = this.#of(target);
    const mine = queue.byOrigin.get(origin) ?? 0;
    if (hasPlace({ waiting: queue.waiting, mine, limit: queue.limit ?? queueLimit })) return undefined;
    return overload(`${queue.waiting} invocations wait for ${target} already`, retryAfterMs);
  }

  waiting(target: string): number {
    return this.#of(target).waiting;
  }

  change(place: Place, by: 1 | -1): void {
    this.#changes.push({ target: place.target, origin: place.origin, by });
    this.#apply(place, by);
  }

  /** Its registration is another one, or gone. */
  forget(target: string): void {
    this.#queues.delete(target);
  }

  mark(): number {
    return this.#changes.length;
  }

  backTo(mark: number): void {
    for (const { by, ...place } of this.#changes.splice(mark)) this.#apply(place, -by);
  }

  /** The batch is about to commit. */
  flush(): void {
    this.#changes.length = 0;
  }

  clear(): void {
    this.#queues.clear();
    this.#changes.length = 0;
  }

  /** One that was never asked for is counted when it is. */
  #apply({ target, origin }: Place, by: number): void {
    const queue = this.#queues.get(target);
    if (queue === undefined) return;
    queue.waiting += by;
    const mine = (queue.byOrigin.get(origin) ?? 0) + by;
    if (mine === 0) queue.byOrigin.delete(origin);
    else queue.byOrigin.set(origin, mine);
  }

  #of(target: string): Queue {
    const known = this.#queues.get(target);
    if (known !== undefined) return known;
    const byOrigin = new Map<number, number>();
    let waiting = 0;
    for (const { origin } of this.#origins.iterate(target)) {
      waiting += 1;
      byOrigin.set(origin, (byOrigin.get(origin) ?? 0) + 1);
    }
    const queue: Queue = { waiting, byOrigin, limit: this.#limit.get(target)?.queue ?? undefined };
    this.#queues.set(target, queue);
    return queue;
  }
}
