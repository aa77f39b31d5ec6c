/** Flights of a period with their transport, a page at a time down the primary key. */
import type { InvocationId } from '../domain/ids.ts';
import type { ExportedFlight } from '../domain/observation.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { deliveryReads } from './deliveries.ts';
import { flightOf } from './flight-row.ts';
import { flightReads } from './flights.ts';
import { firstIdAt, lastId } from './id-range.ts';
import { invocationReads } from './invocations.ts';

export interface ExportRange {
  readonly after?: InvocationId;
  readonly upTo: InvocationId;
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export function exportReads(db: Connection, nodes: NodeNumbers) {
  const ids = db.prepare<[string, string, string, string, number], { invocation_id: InvocationId }>(
    'SELECT invocation_id FROM flights WHERE invocation_id > ? AND invocation_id >= ? AND invocation_id < ? AND invocation_id <= ? ORDER BY invocation_id LIMIT ?',
  );
  const { get } = flightReads(db);
  const invocations = invocationReads(db, nodes);
  const deliveries = deliveryReads(db, nodes);
  /** Each of one moment: flight and delivery belong together. */
  const read = db.transaction((id: InvocationId): ExportedFlight | undefined => {
    const [row, asked, carried] = [get.get(id), invocations.invocation(id), deliveries.delivery(id)];
    if (row === undefined || asked === undefined) return undefined;
    return { flight: flightOf(row, nodes), invocation: asked, attempts: carried === undefined ? [] : deliveries.attempts(id), ...(carried === undefined ? {} : { delivery: carried }) };
  });
  return {
    exported({ after = '' as InvocationId, upTo, sinceMs, untilMs }: ExportRange, limit: number): { flights: ExportedFlight[]; last?: InvocationId } {
      const found = ids.all(after, sinceMs === undefined ? '' : firstIdAt(sinceMs), untilMs === undefined ? lastId : firstIdAt(untilMs), upTo, limit);
      const last = found.at(-1)?.invocation_id;
      return { flights: found.flatMap((each) => read(each.invocation_id) ?? []), ...(last === undefined ? {} : { last }) };
    },
  };
}
