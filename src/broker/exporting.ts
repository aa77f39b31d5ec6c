/** The records of this node as a stream: a page is read when the one before has been taken, so that it costs no memory however much there is. */
import type { InvocationId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { ExportInput, ExportLine } from './operator-api.ts';
import { namesOf } from './reporting.ts';
import type { Self } from './self.ts';

const pageSize = 500;

export interface ExportingParts {
  readonly store: Store;
  readonly self: Self;
  readonly clock: Clock;
}

/**
 * Flights that were accepted by the time it began, then facts up to the newest at the time that the last flight was read. So a flight's
 * state has its facts among those that follow; there may be facts of what came after its line was written.
 */
export async function* exportRecords({ store, self, clock }: ExportingParts, { sinceMs, untilMs }: ExportInput, signal: AbortSignal): AsyncGenerator<ExportLine> {
  const beganMs = clock.now();
  yield { type: 'begin', atMs: beganMs, nodeId: self.nodeId, nodeName: self.name(), version: self.version, names: namesOf({ store, self }) };
  const from = sinceMs === undefined ? {} : { sinceMs };
  // What is accepted from now on is not waited for.
  const newest = store.read.newestFlight()?.invocationId;
  let flights = 0;
  let after: InvocationId | undefined;
  while (newest !== undefined && !signal.aborted) {
    const range = { ...from, upTo: newest, ...(untilMs === undefined ? {} : { untilMs }), ...(after === undefined ? {} : { after }) };
    const page = await store.inspect.exported(range, pageSize);
    for (const each of page.flights) yield { type: 'flight', ...each };
    flights += page.flights.length;
    after = page.last;
    if (after === undefined) break;
  }
  let facts = 0;
  const upTo = store.read.newestFact();
  let next = sinceMs === undefined ? 0 : await store.inspect.factsBefore(sinceMs);
  while (!signal.aborted) {
    const page = await store.inspect.factsIn({ after: next, upTo, ...from, ...(untilMs === undefined ? {} : { untilMs }) }, pageSize);
    for (const fact of page.facts) yield { type: 'fact', fact };
    facts += page.facts.length;
    next = page.next;
    if (!page.more) break;
  }
  yield { type: 'end', atMs: clock.now(), flights, facts };
}
