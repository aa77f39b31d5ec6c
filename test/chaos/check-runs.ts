/** G4 and G5: what ran, how often, and that everything has ended. */
import { isTerminal, originated } from './books.ts';
import type { Books, FactRecord, NodeBooks } from './books.ts';
import type { Verdict } from './verdict.ts';

/** From the reading of the clock to the commit of a start that was in time, ms. */
const startToleranceMs = 2000;

export function checkRuns(books: Books, verdict: Verdict): void {
  checkTraces(books, verdict);
  for (const node of books.nodes.values()) checkStarts(books, node, verdict);
  checkEnds(books, verdict);
}

function checkTraces(books: Books, verdict: Verdict): void {
  for (const [id, traces] of books.tracesOf) {
    const starts = traces.filter((each) => each.what === 'start');
    const owner = books.nodes.get(starts[0]?.node ?? '');
    const flight = owner?.flights.get(id);
    const evidence = () => ({ id, traces, flight, events: owner?.eventsOf.get(id)?.filter((each) => each.kind !== 'output') });
    verdict.that('G4', 'a run is started at most once', new Set(starts.map((each) => each.run)).size === starts.length, evidence);
    verdict.that('G4', 'what is not rerunnable runs at most once', flight?.rerunnable === 1 || starts.length <= 1, evidence);
    const started = new Set(owner?.eventsOf.get(id)?.filter((each) => each.kind === 'started').map((each) => each.run));
    verdict.that('G4', 'each run was committed as started, by the owner, before it was spawned', starts.every((each) => each.node === owner?.name && started.has(each.run)), evidence);
  }
}

/** Walks the owner's own facts, which are in the order of its commits: a boot ends what was running. */
function checkStarts(books: Books, node: NodeBooks, verdict: Verdict): void {
  verdict.about('G4', 'work that a dying node left running is indeterminate, or runs again if it may');
  const running = new Map<string, FactRecord>();
  const orphaned = new Map<string, FactRecord>();
  for (const fact of node.facts) {
    const id = fact.invocation_id ?? '';
    const isOwned = node.nameOf(node.flights.get(id)?.owner ?? -1) === node.name;
    if (fact.what === 'node.started') {
      for (const [each, start] of running) orphaned.set(each, start);
      running.clear();
    } else if (isOwned && fact.what === 'flight.started') {
      verdict.that('G4', 'nothing starts again without being queued again', !orphaned.has(id) && !running.has(id), () => ({ id, at: node.name, facts: node.factsOf.get(id) }));
      running.set(id, fact);
    } else if (isOwned && (fact.what === 'flight.finished' || fact.what === 'flight.requeued')) {
      const wasOrphan = orphaned.delete(id);
      running.delete(id);
      if (!wasOrphan) continue;
      const flight = node.flights.get(id);
      const isRight = fact.what === 'flight.requeued' ? flight?.rerunnable === 1 : (JSON.parse(fact.detail) as { state: string }).state === 'indeterminate';
      verdict.that('G4', 'work that a dying node left running is indeterminate, or runs again if it may', isRight, () => ({ id, at: node.name, fact, flight, facts: node.factsOf.get(id) }));
    }
  }
  for (const [id, start] of [...orphaned, ...running]) {
    verdict.that('G4', 'work that a dying node left running is indeterminate, or runs again if it may', false, () => ({ id, at: node.name, start, flight: node.flights.get(id), facts: node.factsOf.get(id) }));
  }
  for (const [id, flight] of node.flights) {
    if (node.nameOf(flight.owner) !== node.name) continue;
    const events = node.eventsOf.get(id) ?? [];
    const starts = events.filter((each) => each.kind === 'started');
    const traces = books.tracesOf.get(id) ?? [];
    const evidence = () => ({ id, at: node.name, flight, traces, events: events.filter((each) => each.kind !== 'output') });
    verdict.that('G4', 'runs are counted from 1, and more than one only if it may rerun', starts.every((each, index) => each.run === index + 1) && (starts.length <= 1 || flight.rerunnable === 1), evidence);
    if (flight.state === 'completed') {
      const last = starts.at(-1)?.run;
      verdict.that('G4', 'what completed has run to its end, in its last run', traces.some((each) => each.what === 'end' && each.run === last), evidence);
    }
    if (flight.state === 'expired') verdict.that('G4', 'what expired never ran', traces.length === 0 && starts.length === 0, evidence);
    const [first] = starts;
    if (first !== undefined && node.clockJumps === 0) {
      verdict.that('G5', 'nothing starts after its queue deadline', first.at_ms <= flight.hold_until_ms + startToleranceMs, evidence);
    }
  }
}

function checkEnds(books: Books, verdict: Verdict): void {
  for (const node of books.nodes.values()) {
    for (const [id, flight] of node.flights) {
      const role = node.nameOf(flight.origin) === node.name ? 'at its origin' : 'at its owner';
      verdict.that('G5', `every accepted flight has ended ${role}`, isTerminal(flight.state) && flight.finished_at_ms !== null, () => ({ id, at: node.name, flight, delivery: node.deliveries.get(id), facts: node.factsOf.get(id) }));
    }
  }
  for (const note of books.notes) {
    if (note.answers.length === 0) continue;
    verdict.that('G5', 'every caller who was answered could follow its flight to the end', note.finished !== undefined, () => ({ note: note.id, answers: note.answers, refusals: note.refusals }));
  }
  for (const { id, flight, origin } of originated(books)) {
    if (flight.state !== 'expired') continue;
    verdict.that('G5', 'what expired at its origin ran nowhere', !books.tracesOf.has(id), () => ({ id, origin: origin.name, flight, traces: books.tracesOf.get(id) }));
  }
}
