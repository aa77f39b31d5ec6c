/** That the databases are whole, and that nobody was answered what no fault explains. */
import type { Books } from './books.ts';
import type { Verdict } from './verdict.ts';

/** Answers that the faults of a campaign can lead to. `not_found`: the registrations of a peer have not come yet. */
const explained = new Set(['not_found', 'overload', 'deadline']);

export function checkHealth({ nodes, notes }: Books, verdict: Verdict): void {
  for (const node of nodes.values()) {
    const integrity = node.db.pragma('integrity_check', { simple: true });
    verdict.that('G10', 'each database is whole', integrity === 'ok', () => ({ at: node.name, integrity }));
    const orphans = node.db.pragma('foreign_key_check') as unknown[];
    verdict.that('G10', 'each database refers to nothing that is not there', orphans.length === 0, () => ({ at: node.name, orphans: orphans.slice(0, 5) }));
    const counted = node.db.prepare<[], { state: string; count: number }>('SELECT state, count(*) AS count FROM flights GROUP BY state').all();
    const kept = new Map(node.db.prepare<[], { state: string; count: number }>('SELECT state, count FROM flight_counts WHERE count > 0').all().map((each) => [each.state, each.count]));
    verdict.that('G10', 'each count that is kept is right', counted.length === kept.size && counted.every((each) => kept.get(each.state) === each.count), () => ({ at: node.name, counted, kept: [...kept] }));
  }
  for (const note of notes) {
    const strange = note.refusals.filter((each) => !explained.has(each));
    verdict.that('G11', 'no caller was answered with an error that no fault explains', strange.length === 0, () => ({ note: note.id, origin: note.origin, target: note.target, refusals: note.refusals }));
  }
}
