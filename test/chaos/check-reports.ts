/** G6 and G7: what the owner reports arrives whole and in order, and no side claims more than it knows. */
import { createHash } from 'node:crypto';
import { bytesOf } from '../../src/store/large-bytes.ts';
import { agentKinds, expectedOutput } from './agents.ts';
import { isTerminal, originated } from './books.ts';
import type { Books, EventRecord, NodeBooks, Sides } from './books.ts';
import type { Verdict } from './verdict.ts';

export function checkReports(books: Books, verdict: Verdict): void {
  for (const node of books.nodes.values()) for (const id of node.flights.keys()) checkSequence(node, id, verdict);
  for (const sides of originated(books)) {
    checkCopy(sides, verdict);
    checkOutput(sides, verdict);
    checkReceipts(sides, verdict);
    checkDelivery(sides, verdict);
    checkStates(sides, verdict);
  }
  checkSeen(books, verdict);
}

function checkSequence(node: NodeBooks, id: string, verdict: Verdict): void {
  const flight = node.flights.get(id);
  const events = node.eventsOf.get(id) ?? [];
  const evidence = () => ({ id, at: node.name, flight, events: brief(events) });
  verdict.that('G6', 'seq counts from 1 to the last without a gap, on both sides', events.every((each, index) => each.seq === index + 1) && flight?.last_seq === events.length, evidence);
  verdict.that('G6', 'events come in the order of their clock', events.every((each, index) => index === 0 || (events[index - 1]?.hlc ?? '') <= each.hlc), evidence);
  const ends = events.filter((each) => each.kind === 'finished');
  verdict.that('G6', 'an end is the last event, and the only one', ends.length <= 1 && (ends.length === 0 || events.at(-1)?.kind === 'finished'), evidence);
}

function checkCopy({ id, origin, flight, ownerBooks, owned }: Sides, verdict: Verdict): void {
  if (ownerBooks === undefined) return;
  const here = origin.eventsOf.get(id) ?? [];
  const there = ownerBooks.eventsOf.get(id) ?? [];
  const differing = here.findIndex((each, index) => JSON.stringify(each) !== JSON.stringify(there[index]));
  verdict.that('G6', 'the origin’s events are the owner’s, from the first on', differing < 0, () => ({ id, origin: here[differing], owner: there[differing], flight, owned }));
  verdict.that('G6', 'all that the owner reported has reached the origin', here.length === there.length, () => ({ id, origin: brief(here), owner: brief(there), flight, owned }));
  if (owned !== undefined) {
    verdict.that('G6', 'the owner counts as acknowledged no more than the origin has', (owned.acked_seq ?? 0) <= flight.last_seq, () => ({ id, flight, owned }));
  }
}

/** Byte for byte what the agent is known to print. */
function checkOutput({ id, origin, flight, ownerBooks, owned }: Sides, verdict: Verdict): void {
  if (flight.state !== 'completed') return;
  const kind = agentKinds.find((each) => flight.target.startsWith(`@${each}@`));
  if (kind === undefined) return;
  const expected = expectedOutput(kind, id, origin.marks.get(id) ?? '');
  for (const [books, record] of [[origin, flight], [ownerBooks, owned]] as const) {
    if (books === undefined || record === undefined) continue;
    // A run that was lost may have printed before the one that completed.
    const after = books.eventsOf.get(id)?.findLast((each) => each.kind === 'started')?.seq ?? 0;
    const hash = createHash('sha256');
    let bytes = 0;
    const rows = books.db.prepare<[string, number], { bytes: Buffer }>(`SELECT ${bytesOf('e')} AS bytes FROM flight_events e WHERE invocation_id = ? AND seq > ? AND stream = 'stdout' ORDER BY seq`).iterate(id, after);
    for (const row of rows) {
      hash.update(row.bytes);
      bytes += row.bytes.length;
    }
    verdict.that('G6', 'the output of what completed is what its agent printed, on both sides', bytes === expected.bytes && hash.digest('hex') === expected.sha256, () => ({ id, at: books.name, bytes, expected, record, events: brief(books.eventsOf.get(id) ?? []) }));
  }
}

function checkReceipts({ id, origin, flight, delivery, ownerBooks, owned }: Sides, verdict: Verdict): void {
  const evidence = () => ({ id, origin: origin.name, flight, delivery, owned, facts: origin.factsOf.get(id), ownerFacts: ownerBooks?.factsOf.get(id) });
  if (ownerBooks !== undefined) {
    const saysReceived = flight.received_at_ms !== null || delivery?.status === 'received';
    verdict.that('G7', 'nothing is called received without the owner’s record', !saysReceived || owned !== undefined, evidence);
    if (saysReceived && owned !== undefined) {
      verdict.that('G7', 'the receipt tells the owner’s time, in the flight and in the delivery', flight.received_at_ms === owned.received_at_ms && delivery?.received_at_ms === owned.received_at_ms, evidence);
    }
    if (owned !== undefined && delivery?.status !== 'dead') {
      verdict.that('G7', 'what the owner has the origin knows to be received', delivery?.status === 'received', evidence);
    }
  }
  const events = origin.eventsOf.get(id) ?? [];
  verdict.that('G7', 'started is told where and only where the owner started it', (flight.started_at_ms !== null) === events.some((each) => each.kind === 'started'), evidence);
  if (flight.started_at_ms !== null && flight.finished_at_ms !== null) {
    const jumped = origin.clockJumps > 0 || (ownerBooks?.clockJumps ?? 0) > 0;
    // Clocks that jump tell nothing; and an end by the origin's clock can't be held against a start by the owner's.
    if (!jumped && flight.verdict_by === 'owner') verdict.that('G7', 'a start is not after its end', flight.started_at_ms <= flight.finished_at_ms, evidence);
  }
  const once = (what: string): boolean => (origin.factsOf.get(id) ?? []).filter((each) => each.what === what).length <= 1;
  verdict.that('G7', 'each receipt is one fact at its origin', ['invocation.accepted', 'delivery.received', 'flight.finished', 'flight.refined'].every(once), evidence);
}

function checkDelivery({ id, origin, flight, delivery, ownerBooks, owned }: Sides, verdict: Verdict): void {
  const evidence = () => ({ id, origin: origin.name, flight, delivery, owned, facts: origin.factsOf.get(id) });
  const status = delivery?.status ?? 'missing';
  verdict.that('G7', 'a flight that has ended has a delivery that has', !isTerminal(flight.state) || ['received', 'rejected', 'dead', 'cancelled'].includes(status), evidence);
  if (delivery === undefined) return;
  verdict.that('G7', 'each attempt is recorded and over, and one at most was received', delivery.attempts === delivery.attempt_rows && delivery.open_attempts === 0 && delivery.received_attempts <= 1, evidence);
  if (status === 'rejected') verdict.that('G7', 'what was rejected the owner does not have, and has failed', owned === undefined && flight.state === 'failed', evidence);
  if (status === 'cancelled') verdict.that('G7', 'a delivery that was cancelled never arrived', owned === undefined && flight.state === 'cancelled', evidence);
  if (ownerBooks === undefined) verdict.that('G7', 'a flight of the node’s own is received when it is accepted', status === 'received' && delivery.attempts === 0, evidence);
}

function checkStates({ id, origin, flight, ownerBooks, owned, delivery }: Sides, verdict: Verdict): void {
  if (!isTerminal(flight.state)) return;
  const evidence = () => ({ id, origin: origin.name, flight, delivery, owned, facts: origin.factsOf.get(id), ownerFacts: ownerBooks?.factsOf.get(id) });
  const events = (ownerBooks ?? origin).eventsOf.get(id) ?? [];
  const told = events.find((each) => each.kind === 'finished')?.state;
  if (flight.verdict_by !== 'origin') {
    const isRejection = delivery?.status === 'rejected';
    verdict.that('G7', 'the end at the origin is the end that the owner reported', isRejection ? flight.state === 'failed' : flight.state === told && (owned === undefined || owned.state === told), evidence);
    return;
  }
  const code = flight.error === null ? undefined : (JSON.parse(flight.error) as { code: string }).code;
  const isAllowed =
    (flight.state === 'cancelled' && owned === undefined && flight.cancel_requested_at_ms !== null) ||
    (flight.state === 'expired' && owned === undefined && delivery?.attempts === 0) ||
    (flight.state === 'failed' && code === 'unavailable' && delivery?.status === 'dead') ||
    flight.state === 'indeterminate';
  verdict.that('G7', 'the origin ends by itself only what is its own to end', isAllowed, evidence);
  if (flight.state === 'indeterminate') verdict.that('G7', 'later evidence of the owner has refined what the origin called indeterminate', told === undefined || told === 'indeterminate', evidence);
}

/** What a caller was told stays true: nothing leaves a node before it is committed. */
function checkSeen({ nodes, notes }: Books, verdict: Verdict): void {
  for (const note of notes) {
    const origin = nodes.get(note.origin);
    const [answer] = note.answers;
    if (answer === undefined || origin === undefined) continue;
    const id = answer.invocationId;
    const flight = origin.flights.get(id);
    const events = new Map((origin.eventsOf.get(id) ?? []).map((each) => [each.seq, each]));
    const evidence = () => ({ note: { ...note, seen: [...note.seen.values()] }, flight, events: brief([...events.values()]) });
    const isTrue = [...note.seen.values()].every((each) => events.get(each.seq)?.kind === each.kind && events.get(each.seq)?.bytes === each.bytes);
    verdict.that('G6', 'every event that a caller saw is still there, as it was', isTrue, evidence);
    if (note.finished !== undefined) {
      const shown = events.get(flight?.last_seq ?? 0)?.kind === 'finished' ? (flight?.last_seq ?? 0) - 1 : (flight?.last_seq ?? 0);
      const isWhole = Array.from({ length: shown }, (_, index) => index + 1).every((seq) => note.seen.has(seq));
      // Who was told of an indeterminate end before the owner’s evidence came has heard the end of the story.
      if (flight?.verdict_by === 'owner' && note.finished.state === flight.state) verdict.that('G6', 'a caller who followed to the end missed no event', isWhole, evidence);
      verdict.that('G7', 'the end that a caller was told is the end, or was refined', note.finished.state === flight?.state || (note.finished.state === 'indeterminate' && (origin.factsOf.get(id) ?? []).some((each) => each.what === 'flight.refined')), evidence);
    }
    if (note.wasReceived) verdict.that('G7', 'what a caller was told is received, the owner has', nodes.get(note.owner)?.flights.has(id) === true, evidence);
    if (note.cancel === 'confirmed') verdict.that('G7', 'a cancel that was confirmed belongs to a flight that has ended', isTerminal(flight?.state ?? ''), evidence);
  }
}

/** Long outputs would drown what matters. */
function brief(events: readonly EventRecord[]): string[] {
  const words = events.map((each) => `${each.seq} ${each.kind}${each.run === null ? '' : ` run ${each.run}`}${each.state === null ? '' : ` ${each.state}`}`);
  return words.length <= 12 ? words : [...words.slice(0, 6), `… ${words.length - 12} …`, ...words.slice(-6)];
}
