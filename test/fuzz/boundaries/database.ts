/**
 * Database files: a real one, small, of a node that went down and of one that was killed, with bytes of it changed. An input is what is
 * done to it. Opened by the real code up to the connection that writes and the one that reads, on this thread and not on the writer's.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSqliteError } from '../../../src/store/sqlite-errors.ts';
import { examine } from '../../../src/store/look.ts';
import { schemaVersion } from '../../../src/store/migrations.ts';
import { openDatabase } from '../../../src/store/open-database.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { auditSealOf } from '../../support/temp-store.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';
import { nodeKey, who } from './mesh-keys.ts';
import { scratch } from './places.ts';
import { refusal } from './readers.ts';

const ends = ['', '-wal'] as const;
type Files = Readonly<Record<(typeof ends)[number], Buffer | undefined>>;

/** A part of an input: where, and what is put there; `cut` ends the file there, `fill` writes one byte so often. */
const verbs = { put: 0, cut: 1, fill: 2, putInLog: 3, cutLog: 4, swap: 5 } as const;
const stepBytes = 16;

export const database: Boundary = {
  name: 'database',
  what: 'a damaged or foreign file in place of the node’s database, and its log',
  seeds: () => ({
    'as it was': Buffer.from([0]),
    'of a killed node': Buffer.from([1]),
    'another version': step(0, verbs.put, 60, Buffer.from([0, 0, 0, 99])),
    'an older version': step(0, verbs.put, 60, Buffer.from([0, 0, 0, 3])),
    'another program’s': step(0, verbs.put, 68, Buffer.from([1, 2, 3, 4])),
    'cut short': step(0, verbs.cut, 5_000, Buffer.alloc(0)),
    'a page of noise': step(0, verbs.fill, 4_096, Buffer.from([0xa7])),
    'a log of noise': step(1, verbs.putInLog, 40, Buffer.alloc(9, 0xff)),
    'a log cut short': step(1, verbs.cutLog, 4_000, Buffer.alloc(0)),
    'two pages for each other': step(0, verbs.swap, 8_192, Buffer.from([0, 0, 0x30, 0])),
  }),
  mutate: (input, dice, other) => {
    if (dice.chance(0.2)) return Buffer.concat([input, other.subarray(1, 1 + stepBytes)]);
    const at = dice.chance(0.3) ? dice.between(0, 100) : dice.chance(0.5) ? dice.between(0, 120) * 4096 + dice.between(0, 40) : dice.between(0, 500_000);
    const made = step(input[0] ?? 0, dice.pick(Object.values(verbs)), at, Buffer.from([dice.between(0, 255), dice.between(0, 255), dice.pick([0, 0xff, 4, 7]), 0]));
    return dice.chance(0.3) ? Buffer.concat([input, made.subarray(1)]) : made;
  },
  longest: 1 + 12 * stepBytes,
  open: () => new DatabaseTarget(),
};

function step(base: number, verb: number, at: number, content: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(1 + stepBytes);
  bytes.writeUInt8(base, 0);
  bytes.writeUInt8(verb, 1);
  bytes.writeUInt32BE(at, 2);
  bytes.writeUInt8(Math.min(9, content.length), 6);
  bytes.set(content.subarray(0, 9), 7);
  return bytes;
}

class DatabaseTarget implements Target {
  readonly #place = scratch();
  readonly #bases: readonly Files[];

  constructor() {
    this.#bases = bases(this.#place.path);
  }

  close(): void {
    this.#place.close();
  }

  run(input: Uint8Array): Verdict {
    const path = join(this.#place.path, 'tried.db');
    const files = damaged(this.#bases[(input[0] ?? 0) % this.#bases.length] ?? { '': undefined, '-wal': undefined }, input.subarray(1));
    this.#clear();
    for (const end of ends) if (files[end] !== undefined) writeFileSync(path + end, files[end], { mode: 0o600 });
    const before = this.#contents();
    try {
      // What `doctor` does for a node that is down.
      if (input.length % 4 === 0) examine(path, schemaVersion);
      const db = openDatabase(path);
      try {
        // To prepare all statements takes longer than all else.
        if ((input.at(-1) ?? 0) % 32 === 7) readAll(db);
        else touched(db);
      } finally {
        db.close();
      }
      return 'accepted';
    } catch (error) {
      const verdict = refusal(error);
      holds(this.#contents() === before, 'a file that is refused stays as it was, and so does what is beside it');
      return verdict;
    }
  }

  #clear(): void {
    for (const name of readdirSync(this.#place.path)) if (name.startsWith('tried')) rmSync(join(this.#place.path, name), { force: true });
  }

  #contents(): string {
    // A log without anything in it says as much as none.
    const names = readdirSync(this.#place.path).filter((name) => name.startsWith('tried') && statSync(join(this.#place.path, name)).size > 0).toSorted();
    return names.map((name) => `${name} ${createHash('sha256').update(readFileSync(join(this.#place.path, name))).digest('hex')} ${statSync(join(this.#place.path, name)).mode.toString(8)}`).join('\n');
  }
}

/** Damage that opening does not see shows when it is read: SQLite says so then, and no more is asked of it. */
function readAll(db: ReturnType<typeof openDatabase>): void {
  try {
    const read = readerOver(db, auditSealOf(nodeKey(who.self).nodeId));
    read.membership();
    read.members();
    read.registrations();
    read.ownRegistrations();
    read.queuedTargets();
  } catch (error) {
    if (!isSqliteError(error) && !(error instanceof SyntaxError)) throw error;
  }
}

function touched(db: ReturnType<typeof openDatabase>): void {
  try {
    db.exec("BEGIN IMMEDIATE; INSERT OR REPLACE INTO settings VALUES ('fuzz', 'x'); COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    if (!isSqliteError(error)) throw error;
  }
}

function bases(directory: string): readonly Files[] {
  const path = join(directory, 'base.db');
  const db = openDatabase(path);
  db.exec("INSERT INTO settings VALUES ('a', 'b')");
  const killed = filesAt(path);
  db.close();
  return [filesAt(path), killed];
}

function filesAt(path: string): Files {
  const read = (end: string): Buffer | undefined => (statSync(path + end, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path + end));
  return { '': read(''), '-wal': read('-wal') };
}

function damaged(base: Files, steps: Uint8Array): Files {
  const files: Record<(typeof ends)[number], Buffer | undefined> = { '': base[''] === undefined ? undefined : Buffer.from(base['']), '-wal': base['-wal'] === undefined ? undefined : Buffer.from(base['-wal']) };
  for (let at = 0; at + stepBytes <= steps.length; at += stepBytes) {
    const bytes = Buffer.from(steps.subarray(at, at + stepBytes));
    const verb = bytes.readUInt8(0) % Object.keys(verbs).length;
    const end = verb === verbs.putInLog || verb === verbs.cutLog ? '-wal' : '';
    const file = files[end];
    if (file === undefined || file.length === 0) continue;
    const place = bytes.readUInt32BE(1) % file.length;
    const content = bytes.subarray(6, 6 + Math.min(9, bytes.readUInt8(5)));
    if (verb === verbs.put || verb === verbs.putInLog) file.set(content.subarray(0, file.length - place), place);
    else if (verb === verbs.fill) file.fill(content[0] ?? 0, place, Math.min(file.length, place + 900));
    else if (verb === verbs.swap) {
      const second = (content.length >= 4 ? content.readUInt32BE(0) : 0) % file.length;
      const [one, two] = [place - (place % 4096), second - (second % 4096)];
      const kept = Buffer.from(file.subarray(one, one + 4096));
      file.copy(file, one, two, two + 4096);
      file.set(kept.subarray(0, file.length - two), two);
    } else files[end] = file.subarray(0, place);
  }
  return files;
}
