import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BrokerError } from '../../../src/domain/errors.ts';
import { openDatabase } from '../../../src/store/open-database.ts';
import { migrations, schemaVersion } from '../../../src/store/migrations.ts';
import { scratchDirectory } from './scratch.ts';

/** A database as a clean shutdown leaves it. */
function made(): { directory: string; path: string } {
  const directory = scratchDirectory();
  const path = join(directory, 'beckon.db');
  const db = openDatabase(path);
  db.exec("INSERT INTO settings VALUES ('a', 'b')");
  db.close();
  return { directory, path };
}

const contents = (directory: string): Record<string, string> =>
  Object.fromEntries(readdirSync(directory).toSorted().map((name) => [name, readFileSync(join(directory, name)).toString('base64')]));

/** What opening throws; the directory is byte for byte what it was. */
function refusal(directory: string, path: string): BrokerError {
  const before = contents(directory);
  let thrown: unknown;
  try {
    openDatabase(path).close();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(BrokerError);
  const after = contents(directory);
  expect(Object.keys(after)).toEqual(Object.keys(before));
  expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual([]);
  return thrown as BrokerError;
}

function change(path: string, at: number, bytes: Uint8Array): void {
  const whole = readFileSync(path);
  whole.set(bytes, at);
  writeFileSync(path, whole);
}

describe('a database', () => {
  test('is made for this user alone, and leaves one file when it is closed', () => {
    const { directory, path } = made();
    expect(readdirSync(directory)).toEqual(['beckon.db']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const db = openDatabase(path);
    expect(db.prepare('SELECT value FROM settings').all()).toEqual([{ value: 'b' }]);
    expect(db.pragma('user_version', { simple: true })).toBe(schemaVersion);
    db.close();
  });

  test('an empty file is a new database', () => {
    const path = join(scratchDirectory(), 'beckon.db');
    writeFileSync(path, '', { mode: 0o600 });
    openDatabase(path).close();
  });

  test('without its directory it can not be made', () => {
    const path = join(scratchDirectory(), 'none', 'beckon.db');
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });

  test('of a killed process is taken up from its log', () => {
    const { path } = made();
    const db = openDatabase(path);
    db.exec("INSERT INTO settings VALUES ('c', 'd')");
    const copy = join(scratchDirectory(), 'beckon.db');
    for (const end of ['', '-wal']) copyFileSync(path + end, copy + end);
    db.close();
    const again = openDatabase(copy);
    expect(again.prepare('SELECT count(*) AS n FROM settings').get()).toEqual({ n: 2 });
    again.close();
  });
});

describe('refused untouched', () => {
  test('a newer schema, naming both versions', () => {
    const { directory, path } = made();
    const db = new Database(path);
    db.pragma(`user_version = ${schemaVersion + 1}`);
    db.close();
    const error = refusal(directory, path);
    expect(error.code).toBe('incompatible');
    expect(error.detail).toEqual({ version: String(schemaVersion + 1), newest: String(schemaVersion) });
    expect(error.message).toContain(`version ${schemaVersion + 1}`);
  });

  test('another program’s database', () => {
    const directory = scratchDirectory();
    const path = join(directory, 'other.db');
    const db = new Database(path);
    db.exec('CREATE TABLE theirs (a)');
    db.close();
    chmodSync(path, 0o600);
    expect(refusal(directory, path).code).toBe('incompatible');
  });

  test.each<[string, (path: string) => void]>([
    ['text', (path) => {
      writeFileSync(path, 'not a database at all, but long enough to be one. '.repeat(40));
    }],
    ['a header cut short', (path) => {
      truncateSync(path, 60);
    }],
    ['a file cut in the middle', (path) => {
      truncateSync(path, Math.floor(statSync(path).size / 2));
    }],
    ['a schema page of noise', (path) => {
      change(path, 100, new Uint8Array(900).fill(0xa7));
    }],
    ['a schema that is no SQL', (path) => {
      // Pages that were split keep stale copies.
      const whole = readFileSync(path).toString('latin1').replaceAll('CREATE TABLE settings', 'CREATE TROUBLE sett!n');
      writeFileSync(path, whole, 'latin1');
    }],
  ])('damaged: %s', (_, damage) => {
    const { directory, path } = made();
    damage(path);
    const error = refusal(directory, path);
    expect(error.code).toBe('invalid');
    expect(error.message).toContain('damaged');
  });

  test('damaged inside, when the last shutdown was unclean', () => {
    const { path } = made();
    const directory = scratchDirectory();
    const copy = join(directory, 'beckon.db');
    const db = openDatabase(path);
    db.exec("INSERT INTO settings VALUES ('c', 'd')");
    for (const end of ['', '-wal']) copyFileSync(path + end, copy + end);
    const { rootpage } = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").get() as { rootpage: number };
    db.close();
    change(copy, (rootpage - 1) * 4096, new Uint8Array(200).fill(0x55));
    expect(refusal(directory, copy).code).toBe('invalid');
  });

  test('one that another connection writes to', () => {
    const { directory, path } = made();
    const other = new Database(path);
    onTestFinished(() => {
      other.close();
    });
    other.exec('BEGIN IMMEDIATE');
    expect(refusal(directory, path).code).toBe('conflict');
  });

  test('one that another connection has for itself', () => {
    const { directory, path } = made();
    const other = new Database(path);
    onTestFinished(() => {
      other.close();
    });
    other.pragma('locking_mode = EXCLUSIVE');
    other.exec('BEGIN EXCLUSIVE');
    expect(refusal(directory, path).code).toBe('conflict');
  });

  test('one that others may read, a link, a directory', () => {
    const { directory, path } = made();
    chmodSync(path, 0o644);
    expect(refusal(directory, path)).toMatchObject({ code: 'denied', hint: expect.stringContaining('chmod 600') as string });
    chmodSync(path, 0o600);
    const link = join(scratchDirectory(), 'link.db');
    symlinkSync(path, link);
    expect(() => openDatabase(link)).toThrow(expect.objectContaining({ code: 'denied' }));
    const folder = join(scratchDirectory(), 'folder.db');
    mkdirSync(folder);
    expect(() => openDatabase(folder)).toThrow(expect.objectContaining({ code: 'denied' }));
  });
});

describe('a migration', () => {
  const second = "CREATE TABLE more (a INTEGER) STRICT; INSERT INTO more VALUES (1);";

  test('keeps what is there and leaves a backup of it beside it', () => {
    const { directory, path } = made();
    const db = openDatabase(path, [...migrations, second]);
    expect(db.prepare('SELECT value FROM settings').all()).toEqual([{ value: 'b' }]);
    expect(db.prepare('SELECT a FROM more').all()).toEqual([{ a: 1 }]);
    expect(db.pragma('user_version', { simple: true })).toBe(migrations.length + 1);
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    db.close();
    const backup = `${path}.v${migrations.length}.backup`;
    expect(readdirSync(directory)).toEqual(['beckon.db', `beckon.db.v${migrations.length}.backup`]);
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    const old = openDatabase(backup);
    expect(old.prepare('SELECT value FROM settings').all()).toEqual([{ value: 'b' }]);
    old.close();
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'incompatible' }));
  });

  test('says what is going to be done before it is begun, and at the end where the copy is', () => {
    const { path } = made();
    const backup = `${path}.v${migrations.length}.backup`;
    const told: [string, boolean][] = [];
    const tell = (text: string): void => void told.push([text, existsSync(backup)]);
    openDatabase(path, [...migrations, second], tell).close();
    expect(told).toEqual([
      [expect.stringContaining(`of version ${migrations.length} and becomes one of version ${migrations.length + 1}: first a copy of it, 1 MB, is made at ${backup}`), false],
      [`the store is of version ${migrations.length + 1} now; a copy of it as it was: ${backup}`, true],
    ]);
    openDatabase(path, [...migrations, second], tell).close();
    openDatabase(join(scratchDirectory(), 'beckon.db'), undefined, tell).close();
    expect(told).toHaveLength(2);
  });

  test('keeps who waits to be let in, when ids stand where numbers stood', () => {
    const path = join(scratchDirectory(), 'beckon.db');
    const old = openDatabase(path, migrations.slice(0, 19));
    old.exec("INSERT INTO nodes (number, id) VALUES (1, 'me'), (2, 'second'), (3, 'first')");
    old.exec("INSERT INTO applicants VALUES (2, 'b', '10.0.0.2:1', NULL, '[]', 'no rule', 20, 40), (3, 'a', '10.0.0.1:1', 'bob', '[\"tag:x\"]', 'tagged', 10, 30)");
    old.close();
    const db = openDatabase(path);
    expect(db.prepare('SELECT * FROM applicants ORDER BY rowid').raw().all()).toEqual([
      ['first', 'a', '10.0.0.1:1', 'bob', '["tag:x"]', 'tagged', 10, 30],
      ['second', 'b', '10.0.0.2:1', null, '[]', 'no rule', 20, 40],
    ]);
    expect(db.pragma('foreign_key_check')).toEqual([]);
    db.close();
  });

  test('that fails leaves the version and the tables as they were', () => {
    const { path } = made();
    expect(() => openDatabase(path, [...migrations, `${second} SELECT no_such_function();`])).toThrow(BrokerError);
    const db = openDatabase(path);
    expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'more'").get()).toEqual({ n: 0 });
    db.close();
    openDatabase(path, [...migrations, second]).close();
    expect(existsSync(`${path}.v${migrations.length}-2.backup`)).toBe(true);
  });

  test('is not made, nor a backup, when there is nothing to change', () => {
    const { directory, path } = made();
    openDatabase(path).close();
    expect(readdirSync(directory)).toEqual(['beckon.db']);
  });
});

describe('a database that brings programs along', () => {
  test.each([
    ['trigger "evil"', "CREATE TRIGGER evil AFTER INSERT ON events BEGIN DELETE FROM settings; END"],
    // By the name of one of ours.
    ['trigger "events_never_change"', "DROP TRIGGER events_never_change; CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN DELETE FROM revocations; END"],
    ['view "agents_of_all"', 'CREATE VIEW agents_of_all AS SELECT * FROM agents'],
    ['virtual table "found"', 'CREATE VIRTUAL TABLE found USING fts5(text)'],
  ])('is refused for the %s', (what, sql) => {
    const { directory, path } = made();
    const db = new Database(path);
    db.exec(sql);
    db.pragma('journal_mode = DELETE');
    db.close();
    expect(refusal(directory, path)).toMatchObject({ code: 'invalid', message: expect.stringContaining(`${what} in it is none of beckon’s`) });
  });
});
