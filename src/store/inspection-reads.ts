/** The long reads of the port, as the inspection thread does them. */
import { invocationOfFlight } from '../domain/ids.ts';
import { auditReads } from './audit.ts';
import type { AuditSeal } from './audit.ts';
import { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { deliveryReads } from './deliveries.ts';
import { exportReads } from './export-reads.ts';
import { stretchesOf } from './fact-reads.ts';
import { storiesOf } from './story-reads.ts';
import { troubleReads } from './trouble-reads.ts';
import { DeliveryList } from './delivery-list.ts';
import { factReads } from './events.ts';
import { flightEventReads } from './flight-events.ts';
import { FlightList } from './flight-list.ts';
import { flightReads } from './flights.ts';
import { invocationReads } from './invocations.ts';
import type { LongReads } from './protocol.ts';

export type Synchronous<Port> = {
  readonly [Name in keyof Port]: Port[Name] extends (...args: infer Args) => Promise<infer Value> ? (...args: Args) => Value : never;
};

export function inspectionOver(db: Connection, seal: AuditSeal): Synchronous<LongReads> {
  const nodes = new NodeNumbers(db);
  const flights = new FlightList(db, nodes);
  const deliveries = new DeliveryList(db, nodes);
  const reads = { ...deliveryReads(db, nodes), ...factReads(db, nodes), ...flightEventReads(db) };
  const { bySuffix } = flightReads(db);
  const invocations = invocationReads(db, nodes);
  return {
    flights: (filter, page) => flights.page(filter, page),
    deliveries: (filter, page) => deliveries.page(filter, page),
    deliveriesBySuffix: (suffix) =>
      /^[0-9A-Z]{4,26}$/.test(suffix)
        ? bySuffix.all(suffix.slice(-4), suffix).map((each) => reads.delivery(each.invocation_id)).filter((each) => each !== undefined)
        : [],
    attempts: (id) => reads.attempts(id),
    facts: (id) => reads.facts(id),
    task: (id) => invocations.task(id),
    pieces: (flightId) => reads.pieces(invocationOfFlight(flightId)),
    quickCheck: () => String(db.pragma('quick_check(1)', { simple: true })),
    ...stretchesOf(db, nodes),
    ...storiesOf(db, nodes),
    ...troubleReads(db, nodes),
    ...exportReads(db, nodes),
    ...auditReads(db, seal),
    output: (flightId, stream, afterSeq, maxBytes) => reads.output(invocationOfFlight(flightId), stream, afterSeq, maxBytes),
  };
}
