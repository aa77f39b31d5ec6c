/**
 * The store of a node that has been at work for a year: as many invocations as wanted, of all kinds and ages, on which a
 * node starts and goes on. A few are lived through the writes of a real store (`lives.ts`), and their rows are written
 * again and again with other ids and times (`copies.ts`): so all is as a node leaves it, whatever its schema is.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base32 } from '../../../src/domain/base32.ts';
import { agentIdOf } from '../../../src/domain/ids.ts';
import type { InvocationId, NodeId } from '../../../src/domain/ids.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { openDatabase } from '../../../src/store/open-database.ts';
import { openTables } from '../../../src/store/tables.ts';
import { writeHandlers } from '../../../src/store/write-handlers.ts';
import type { WriteHandlers } from '../../../src/store/write-handlers.ts';
import { memoryOf } from '../../../src/store/writer-memory.ts';
import { Copies, withoutIndexes } from './copies.ts';
import type { Made } from './copies.ts';
import { Lives, localAgents, scatter } from './lives.ts';

const dayMs = 24 * 3_600_000;
/** Lived, of each age. */
const mostLived = 1000;
const copiesAtOnce = 25;
/** Below it the indexes are kept as rows come. */
const large = 50_000;

export interface History {
  /** The database; made when it is missing. No node has it open. */
  readonly path: string;
  /** Whose it is; left out: the node that has booted with it. */
  readonly nodeId?: NodeId;
  /** As its agents' addresses have it. */
  readonly nodeName: string;
  readonly invocations: number;
  readonly nowMs: number;
  /** Between the first and now. */
  readonly spanMs?: number;
  /** Task and output of what is older are gone, as the pruning of a node leaves it. */
  readonly outputsMs?: number;
  readonly tell?: (text: string) => void;
}

export interface Stored {
  readonly invocations: number;
  /** Of flights, and facts: rows of the two tables. */
  readonly events: number;
  readonly facts: number;
  readonly open: number;
}

interface Pattern {
  readonly path: string;
  /** Over: their bytes pruned, and not. */
  readonly old: readonly InvocationId[];
  readonly recent: readonly InvocationId[];
  /** The one of its kind, in the middle of all. */
  readonly single: InvocationId;
  readonly open: readonly InvocationId[];
}

/** @throws when the database holds history already */
export function storeHistory(history: History): Stored {
  const { path, nodeName, invocations, nowMs, tell = () => undefined } = history;
  const directory = mkdtempSync(join(tmpdir(), 'beckon-stored-'));
  const db = openDatabase(path);
  try {
    const nodeId = history.nodeId ?? ownerOf(db);
    if (db.prepare('SELECT 1 FROM invocations LIMIT 1').get() !== undefined) throw new Error(`${path} holds invocations already`);
    addAgents(db, nodeId, nodeName, nowMs);
    const pattern = live(db, join(directory, 'pattern.db'), { ...history, nodeId });
    db.pragma('foreign_keys = OFF');
    db.pragma('synchronous = OFF');
    db.pragma('cache_size = -256000');
    db.pragma('journal_mode = OFF');
    db.prepare('ATTACH ? AS pattern').run(pattern.path);
    db.exec('INSERT OR IGNORE INTO main.nodes (number, id) SELECT number, id FROM pattern.nodes');
    const fill = (): void => copyAll(db, pattern, history, tell);
    if (invocations < large) fill();
    else withoutIndexes(db, fill);
    db.exec('DETACH pattern');
    db.pragma('journal_mode = WAL');
    return sizeOf(db);
  } finally {
    db.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function ownerOf(db: Connection): NodeId {
  const found = db.prepare('SELECT id FROM nodes WHERE booted_at_ms IS NOT NULL').get() as { id: NodeId } | undefined;
  if (found === undefined) throw new Error('no node has booted with this database: say whose it is');
  return found.id;
}

/** What waits here waits for agents that are there, and that nobody serves. */
function addAgents(db: Connection, nodeId: NodeId, nodeName: string, nowMs: number): void {
  writing(db, nodeId, (handlers) => {
    const { story } = new Lives(handlers, { nodeId, nodeName, startMs: nowMs - dayMs });
    for (const name of localAgents) {
      const address = `@${name}@${nodeName}#main`;
      handlers.addAgent({
        stamp: story.stamp(),
        endpoint: { agentId: agentIdOf(story.ulid()), address, harness: 'attached', cwd: '/', argv: [], env: [], path: '/bin', permissions: 'ask', isolate: false },
        registration: { address, nodeId, harness: 'attached', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true },
      });
    }
  });
}

/** The pattern's nodes have the numbers that they have, or will have, in the database that is filled. */
function live(target: Connection, path: string, { nodeId, nodeName, invocations, nowMs }: History & { readonly nodeId: NodeId }): Pattern {
  const db = openDatabase(path);
  try {
    for (const { number, id } of target.prepare('SELECT number, id FROM nodes').all() as { number: number; id: string }[]) db.prepare('INSERT INTO nodes (number, id) VALUES (?, ?)').run(number, id);
    return writing(db, nodeId, (handlers, flush) => {
      const lives = new Lives(handlers, { nodeId, nodeName, startMs: nowMs - 30 * dayMs });
      const lived = Math.min(mostLived, Math.ceil(invocations / 4));
      const ended = (): InvocationId[] => {
        const ids: InvocationId[] = [];
        lives.anew();
        while (ids.length < lived) ids.push(...lives.ended());
        return ids;
      };
      const old = ended();
      const single = lives.anew().single();
      while (hasBytes(db)) {
        handlers.prune({ stamp: lives.story.stamp(), outputsBeforeMs: lives.story.nowMs + dayMs, mostBytes: 0, recordsBeforeMs: 0 });
        flush();
      }
      const recent = ended();
      lives.anew();
      const open = Array.from({ length: Math.max(10, Math.min(600, Math.floor(invocations / 500))) }, () => lives.open());
      return { path, old, recent, single, open };
    });
  } finally {
    db.close();
  }
}

const hasBytes = (db: Connection): boolean => db.prepare('SELECT 1 FROM flights WHERE stored_bytes > 0 LIMIT 1').get() !== undefined;

function writing<Result>(db: Connection, nodeId: NodeId, write: (handlers: WriteHandlers, flush: () => void) => Result): Result {
  return db.transaction(() => {
    const tables = openTables(db, nodeId);
    const flush = (): void => memoryOf(tables).flush();
    const result = write(writeHandlers(db, tables), flush);
    flush();
    return result;
  })();
}

function copyAll(db: Connection, pattern: Pattern, { invocations, nowMs, spanMs = 360 * dayMs, outputsMs = 30 * dayMs }: History, tell: (text: string) => void): void {
  const acceptedAt = new Map((db.prepare('SELECT id, accepted_at_ms AS atMs FROM pattern.invocations').all() as { id: string; atMs: number }[]).map(({ id, atMs }) => [id, atMs]));
  const copies = new Copies(db);
  const ended = Math.max(1, invocations - pattern.open.length);
  // The last hour is for what is open.
  const [fromMs, untilMs] = [nowMs - spanMs, nowMs - 3_600_000];
  const slotMs = (untilMs - fromMs) / ended;
  let index = 0;
  const make = (copy: number, id: InvocationId, atMs: number): Made => {
    index += 1;
    return { copy, pattern: id, made: `inv_${ulid(atMs, index)}`, laterMs: atMs - (acceptedAt.get(id) ?? 0) };
  };
  const next = (copy: number, ids: readonly InvocationId[], most: number): Made[] =>
    ids.slice(0, most).map((id) => make(copy, id, Math.floor(fromMs + (index + (scatter(index, 11) % 1000) / 1000) * slotMs)));
  const old = Math.min(ended, Math.floor(ended * Math.max(0, 1 - outputsMs / spanMs)));
  let waiting: Made[] = [];
  let hasSingle = false;
  for (let copy = 1; index < ended || !hasSingle; copy += 1) {
    if (!hasSingle && index >= old / 2) {
      hasSingle = true;
      waiting.push(make(copy, pattern.single, Math.floor(fromMs + index * slotMs)));
    } else {
      waiting.push(...next(copy, index < old ? pattern.old : pattern.recent, (index < old ? old : ended) - index));
    }
    if (copy % copiesAtOnce === 0) {
      copies.write(waiting);
      waiting = [];
      tell(`${index} of ${invocations} invocations are stored`);
    }
  }
  const openFromMs = nowMs - 3_000_000;
  waiting.push(...pattern.open.map((id, place) => make(1_000_000, id, Math.floor(openFromMs + (place / pattern.open.length) * 2_400_000))));
  copies.write(waiting);
  tell('all invocations are stored');
}

/** Its end is as any ULID's: spread over all there are. */
function ulid(atMs: number, index: number): string {
  const [a, b, c] = [scatter(index, 21), scatter(index, 22), scatter(index, 23)];
  let end = '';
  for (let place = 0; place < 16; place += 1) end += base32((([a, b, c][place % 3] ?? 0) >>> (5 * Math.floor(place / 3))) & 31, 1);
  return `${base32(atMs, 10)}${end}`;
}

function sizeOf(db: Connection): Stored {
  const count = (sql: string): number => Number(db.prepare(sql).pluck().get());
  return {
    invocations: count('SELECT sum(count) FROM flight_counts'),
    events: count('SELECT count(*) FROM flight_events'),
    facts: count('SELECT count(*) FROM events'),
    open: count("SELECT sum(count) FROM flight_counts WHERE state IN ('queued', 'waking', 'running', 'waiting')"),
  };
}
