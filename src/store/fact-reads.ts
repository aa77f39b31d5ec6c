/** Facts as they were written, a stretch at a time, and where a time begins among them. */
import { encodeHlc } from '../domain/hlc.ts';
import type { FactPage, FactRange } from '../domain/observation.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { factOf } from './events.ts';
import type { FactRow } from './events.ts';

/** Looked at in one go, whether they are wanted or not. */
const stretch = 20_000;
/** By so many numbers a fact may stand away from where its clock would have it: commits that were under way at once. */
const slack = 4096;
const lastMs = 2 ** 48 - 1;

export function stretchesOf(db: Connection, nodes: NodeNumbers) {
  const page = db.prepare<[number, number, number, number, number], FactRow>(
    'SELECT * FROM events WHERE number > ? AND number <= ? AND at_ms >= ? AND at_ms < ? ORDER BY number LIMIT ?',
  );
  const newest = db.prepare<[], { number: number }>('SELECT number FROM events ORDER BY number DESC LIMIT 1');
  const from = db.prepare<[number], { number: number; hlc: string }>('SELECT number, hlc FROM events WHERE number >= ? ORDER BY number LIMIT 1');
  return {
    factsIn({ after, upTo, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER }: FactRange, limit: number): FactPage {
      const last = Math.min(upTo ?? Number.MAX_SAFE_INTEGER, newest.get()?.number ?? 0);
      if (after >= last) return { facts: [], next: after, more: false };
      const end = Math.min(last, after + stretch);
      const rows = page.all(after, end, sinceMs, untilMs, limit);
      const lastRow = rows.at(-1);
      const next = rows.length === limit && lastRow !== undefined ? lastRow.number : end;
      return { facts: rows.map((row) => factOf(row, nodes)), next, more: next < last };
    },
    /**
     * By the hybrid clock, which hardly ever goes back from one number to the next and is never behind the wall clock of
     * its fact: a search by halves, and then some numbers back.
     */
    factsBefore(sinceMs: number): number {
      const wanted = encodeHlc({ ms: Math.min(lastMs, Math.max(0, Math.floor(sinceMs))), counter: 0 });
      let [low, high] = [0, (newest.get()?.number ?? 0) + 1];
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const row = from.get(middle);
        if (row === undefined || row.hlc >= wanted) high = middle;
        else low = row.number + 1;
      }
      return Math.max(0, low - 1 - slack);
    },
  };
}
