/** What spans are derived from: facts that end one, and the invocations that they are of. */
import { closingKinds } from '../domain/flight-spans.ts';
import type { FlightStory } from '../domain/flight-spans.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { StoryPage } from '../domain/observation.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { factOf } from './events.ts';
import type { FactRow } from './events.ts';
import { optional } from './flight-row.ts';
import { invocationReads } from './invocations.ts';

/** Facts that are looked at in one go, whether they end a span or not. */
const stretch = 2_000;
/** Of one invocation, the newest: a delivery that came and went for weeks has very many. */
const mostOfOne = 200;

export function storiesOf(db: Connection, nodes: NodeNumbers) {
  const kinds = closingKinds.map((kind) => `'${kind}'`).join(', ');
  const newest = db.prepare<[], { number: number }>('SELECT number FROM events ORDER BY number DESC LIMIT 1');
  const closing = db.prepare<[number, number, number], { number: number; id: InvocationId }>(
    `SELECT number, invocation_id AS id FROM events WHERE number > ? AND number <= ? AND what IN (${kinds}) AND invocation_id IS NOT NULL ORDER BY number LIMIT ?`,
  );
  const traced = db.prepare<[InvocationId], { received_at_ms: number | null; started_at_ms: number | null }>(
    'SELECT f.received_at_ms, f.started_at_ms FROM invocations i JOIN flights f ON f.invocation_id = i.id WHERE i.id = ? AND i.trace IS NOT NULL',
  );
  const factsOf = db.prepare<[InvocationId, number, number], FactRow>('SELECT * FROM events WHERE invocation_id = ? AND number <= ? ORDER BY number DESC LIMIT ?');
  const invocations = invocationReads(db, nodes);

  function storyOf(id: InvocationId, after: number, upTo: number): FlightStory | undefined {
    const known = traced.get(id);
    const asked = known === undefined ? undefined : invocations.invocation(id);
    if (known === undefined || asked === undefined) return undefined;
    const rows = factsOf.all(id, upTo, mostOfOne).toReversed();
    return {
      invocation: asked,
      ...optional('receivedAtMs', known.received_at_ms),
      ...optional('startedAtMs', known.started_at_ms),
      facts: rows.map((row) => factOf(row, nodes)),
      newFrom: rows.filter(({ number }) => number <= after).length,
    };
  }

  return {
    storiesIn(after: number, limit: number): StoryPage {
      const last = newest.get()?.number ?? 0;
      if (after >= last) return { stories: [], next: after, more: false };
      const end = Math.min(last, after + stretch);
      const found = closing.all(after, end, limit);
      const next = found.length === limit ? (found.at(-1)?.number ?? end) : end;
      const stories = [...new Set(found.map(({ id }) => id))].map((id) => storyOf(id, after, next)).filter((story) => story !== undefined);
      return { stories, next, more: next < last };
    },
  };
}
