/** What owners report of flights, output included. */
import { internal } from '../domain/errors.ts';
import { contentBytes, pieceKinds } from '../domain/flight-event.ts';
import type { FlightEvent, FlightEventBody, OutputStream } from '../domain/flight-event.ts';
import type { TerminalFlightState, WaitingReason } from '../domain/flight.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { RunChunk } from '../domain/store-port.ts';
import type { Connection } from './connection.ts';
import { optional, parseError } from './flight-row.ts';
import { bytesOf, LargeBytes } from './large-bytes.ts';
import type { StoredBytes } from './stored-bytes.ts';

interface EventRow {
  readonly seq: number;
  readonly at_ms: number;
  readonly hlc: Hlc;
  readonly kind: FlightEventBody['kind'];
  readonly run: number | null;
  readonly stream: OutputStream | null;
  readonly reason: WaitingReason | null;
  readonly request: string | null;
  readonly prompt: string | null;
  readonly choices: string | null;
  readonly until_ms: number | null;
  readonly state: TerminalFlightState | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  readonly ended: number | null;
  readonly bytes: Uint8Array | null;
  /** JSON of what progress holds; of a started: its session and where it runs. */
  readonly detail: string | null;
}

export function eventOfChunk(chunk: RunChunk, seq: number): FlightEvent {
  const body: FlightEventBody = 'progress' in chunk ? chunk.progress : { kind: 'output', stream: chunk.stream, bytes: chunk.bytes };
  return { seq, atMs: chunk.stamp.atMs, hlc: chunk.stamp.hlc, body };
}

export class FlightEventTable {
  readonly #stored: StoredBytes;
  readonly #large: LargeBytes;
  readonly #insertOutput;
  readonly #insertRun;
  readonly #insertWaiting;
  readonly #insertDetail;
  readonly #insertFinished;
  readonly #isEnd;

  constructor(db: Connection, stored: StoredBytes) {
    this.#stored = stored;
    this.#large = new LargeBytes(db);
    const insert = (columns: string, values: string) =>
      db.prepare(`INSERT INTO flight_events (invocation_id, seq, at_ms, hlc, kind${columns}) VALUES (?, ?, ?, ?, ?${values})`);
    this.#insertOutput = insert(', stream, bytes, large', ', ?, ?, ?');
    this.#insertRun = insert(', run, detail', ', ?, ?');
    this.#insertWaiting = insert(', reason, request, prompt, choices, until_ms', ', ?, ?, ?, ?, ?');
    this.#insertDetail = insert(', detail', ', ?');
    this.#insertFinished = insert(', state, exit_code, signal, error, ended', ', ?, ?, ?, ?, ?');
    this.#isEnd = db.prepare<[InvocationId, number], { one: number }>("SELECT 1 AS one FROM flight_events WHERE invocation_id = ? AND seq = ? AND kind = 'finished'");
  }

  /** Whether that event is the one that a flight ends with. */
  isEnd(id: InvocationId, seq: number): boolean {
    return this.#isEnd.get(id, seq) !== undefined;
  }

  insert(id: InvocationId, { seq, atMs, hlc, body }: FlightEvent): void {
    switch (body.kind) {
      case 'output':
        this.#insertOutput.run(id, seq, atMs, hlc, body.kind, body.stream, ...this.#large.place(body.bytes));
        this.#stored.changed(body.bytes.length);
        return;
      case 'started':
        this.#insertRun.run(id, seq, atMs, hlc, body.kind, body.run, startDetail(body));
        return;
      case 'requeued':
        this.#insertRun.run(id, seq, atMs, hlc, body.kind, body.run, null);
        return;
      case 'resumed':
      case 'unknown':
        this.#insertRun.run(id, seq, atMs, hlc, body.kind, null, null);
        return;
      case 'waiting':
        this.#insertWaiting.run(
          id, seq, atMs, hlc, body.kind, body.reason, body.request, body.prompt, JSON.stringify(body.choices), body.untilMs ?? null,
        );
        return;
      case 'tool':
      case 'plan':
      case 'diff':
      case 'thought':
      case 'usage': {
        const { kind, ...detail } = body;
        this.#insertDetail.run(id, seq, atMs, hlc, kind, JSON.stringify(detail));
        this.#stored.changed(contentBytes(body));
        return;
      }
      case 'finished':
        this.#insertFinished.run(
          id, seq, atMs, hlc, body.kind, body.state, body.exitCode ?? null, body.signal ?? null,
          body.error === undefined ? null : JSON.stringify(body.error), body.ended ?? null,
        );
        return;
    }
  }
}

type Started = Extract<FlightEventBody, { kind: 'started' }>;

function startDetail({ session, worktree }: Started): string | null {
  return session === undefined && worktree === undefined ? null : JSON.stringify({ session, worktree });
}

export interface OutputPiece {
  readonly bytes: Uint8Array;
  /** Of the last chunk in `bytes`, or where the search ended. */
  readonly lastSeq: number;
  /** Nothing more is stored here of this stream. */
  readonly done: boolean;
}

const columns = 'seq, at_ms, hlc, kind, run, stream, reason, request, prompt, choices, until_ms, state, exit_code, signal, error, ended, detail';

export function flightEventReads(db: Connection) {
  const after = db.prepare<[InvocationId, number], EventRow>(`SELECT ${columns}, ${bytesOf('e')} AS bytes FROM flight_events e WHERE invocation_id = ? AND seq > ? ORDER BY seq`);
  const output = db.prepare<[InvocationId, number, OutputStream], { seq: number; bytes: Uint8Array }>(`
    SELECT seq, ${bytesOf('e')} AS bytes FROM flight_events e WHERE invocation_id = ? AND seq > ? AND stream = ? ORDER BY seq`);
  const pieces = db.prepare<[InvocationId, InvocationId], { count: number }>(`
    SELECT count(*) AS count FROM flight_events WHERE invocation_id = ? AND kind IN (${pieceKinds.map((kind) => `'${kind}'`).join(', ')})
    AND seq > (SELECT max(seq) FROM flight_events WHERE invocation_id = ? AND kind = 'started')`);
  return {
    pieces: (id: InvocationId): number => pieces.get(id, id)?.count ?? 0,
    events(id: InvocationId, afterSeq: number, maxBytes: number): FlightEvent[] {
      const events: FlightEvent[] = [];
      let bytes = 0;
      for (const row of after.iterate(id, afterSeq)) {
        bytes += (row.bytes?.length ?? 0) + (row.detail?.length ?? 0);
        if (events.length > 0 && (bytes > maxBytes || events.length >= mostEvents)) break;
        events.push(eventOf(row));
      }
      return events;
    },
    output(id: InvocationId, stream: OutputStream, afterSeq: number, maxBytes: number): OutputPiece {
      const chunks: Uint8Array[] = [];
      let size = 0;
      let lastSeq = afterSeq;
      let done = true;
      for (const { seq, bytes } of output.iterate(id, afterSeq, stream)) {
        if (chunks.length > 0 && size + bytes.length > maxBytes) {
          done = false;
          break;
        }
        chunks.push(bytes);
        size += bytes.length;
        lastSeq = seq;
      }
      return { bytes: joined(chunks, size), lastSeq, done };
    },
  };
}

/** Small events count too: a read on the main thread stays short. */
const mostEvents = 1024;

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function eventOf(row: EventRow): FlightEvent {
  return { seq: row.seq, atMs: row.at_ms, hlc: row.hlc, body: bodyOf(row) };
}

function bodyOf(row: EventRow): FlightEventBody {
  switch (row.kind) {
    case 'output':
      if (row.stream === null || row.bytes === null) break;
      return { kind: row.kind, stream: row.stream, bytes: row.bytes };
    case 'started':
      return { kind: row.kind, run: row.run ?? 0, ...(row.detail === null ? {} : (JSON.parse(row.detail) as Partial<Pick<Started, 'session' | 'worktree'>>)) };
    case 'requeued':
      return { kind: row.kind, run: row.run ?? 0 };
    case 'resumed':
    case 'unknown':
      return { kind: row.kind };
    case 'tool':
    case 'plan':
    case 'diff':
    case 'thought':
    case 'usage':
      // Pruned: as unknown as one that never could be read.
      return row.detail === null ? { kind: 'unknown' } : ({ kind: row.kind, ...(JSON.parse(row.detail) as object) } as FlightEventBody);
    case 'waiting':
      if (row.reason === null) break;
      return {
        kind: row.kind,
        reason: row.reason,
        request: row.request ?? '',
        prompt: row.prompt ?? '',
        choices: JSON.parse(row.choices ?? '[]') as string[],
        ...optional('untilMs', row.until_ms),
      };
    case 'finished':
      if (row.state === null) break;
      return {
        kind: row.kind,
        state: row.state,
        ...optional('exitCode', row.exit_code),
        ...optional('signal', row.signal),
        ...optional('error', parseError(row.error)),
        ...optional('ended', row.ended),
      };
  }
  throw internal(`the stored event ${row.seq} of a flight is not whole`);
}
