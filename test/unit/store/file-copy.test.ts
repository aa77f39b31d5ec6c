import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openReading } from '../../../src/store/connection.ts';
import { FileCopy, logOf } from '../../../src/store/file-copy.ts';
import type { CopyStep } from '../../../src/store/file-copy.ts';
import { scratchDirectory } from './scratch.ts';

/** Two rows of one number, far apart in the file: they are equal at every moment. */
function setUp() {
  const directory = scratchDirectory();
  const path = `${directory}/beckon.db`;
  const writer = new Database(path);
  writer.pragma('journal_mode = WAL');
  writer.pragma('wal_autocheckpoint = 0');
  writer.exec('CREATE TABLE pairs (id INTEGER PRIMARY KEY, number INTEGER, filling BLOB)');
  const insert = writer.prepare('INSERT INTO pairs VALUES (?, 0, zeroblob(8000))');
  writer.transaction(() => {
    for (let id = 1; id <= 600; id += 1) insert.run(id);
  })();
  const update = writer.prepare('UPDATE pairs SET number = ? WHERE id IN (1, 600)');
  const file = openSync(path, 'r');
  const to = `${directory}/copy.db`;
  writeFileSync(to, '');
  const db = openReading(path);
  const copy = new FileCopy({ db, path, file, to, toLog: logOf(to) });
  onTestFinished(() => {
    copy.close();
    db.close();
    writer.close();
    closeSync(file);
  });
  const numbers = (): unknown => {
    const copied = new Database(to);
    try {
      expect(copied.pragma('integrity_check', { simple: true })).toBe('ok');
      return copied.prepare('SELECT number FROM pairs WHERE id IN (1, 600)').pluck().all();
    } finally {
      copied.close();
    }
  };
  return { writer, update, copy, path, to, numbers };
}

function whole(step: () => CopyStep, between: () => void = () => undefined): void {
  while (!step().isOver) between();
}

test('what is written while the file is copied and compared is in it whole or not at all', () => {
  const { writer, update, copy, numbers } = setUp();
  writer.pragma('wal_checkpoint(TRUNCATE)');
  let number = 0;
  const write = (): void => {
    number += 1;
    update.run(number);
    writer.pragma('wal_checkpoint(PASSIVE)');
  };
  whole(() => copy.copy(), write);
  whole(() => copy.match(), write);
  const [first, last] = numbers() as number[];
  expect(first).toBe(last);
  expect(first).toBeGreaterThan(3);
});

test('a log that is begun anew after the moment had no part in it is copied as the new one', () => {
  const { writer, update, copy, numbers } = setUp();
  update.run(1);
  whole(() => copy.copy());
  // All of the log is in the file: the next write begins it anew, over what it held.
  writer.pragma('wal_checkpoint(PASSIVE)');
  let writes = 0;
  whole(() => copy.match(), () => {
    writes += 1;
    update.run(1 + writes);
    writer.pragma('wal_checkpoint(PASSIVE)');
  });
  expect(numbers()).toEqual([1 + writes, 1 + writes]);
});

test('what has changed since the first pass is found by the second, though the log has it no longer', () => {
  const { writer, update, copy, path, to, numbers } = setUp();
  writer.pragma('wal_checkpoint(TRUNCATE)');
  whole(() => copy.copy());
  expect(readFileSync(to).equals(readFileSync(path))).toBe(true);
  update.run(7);
  writer.pragma('wal_checkpoint(TRUNCATE)');
  expect(readFileSync(to).equals(readFileSync(path))).toBe(false);
  whole(() => copy.match());
  expect(numbers()).toEqual([7, 7]);
});

test('it ends however much is written meanwhile', () => {
  const { writer, copy, numbers } = setUp();
  const more = writer.prepare('INSERT INTO pairs (number, filling) VALUES (0, zeroblob(200000))');
  let steps = 0;
  const write = (): void => {
    steps += 1;
    more.run();
    writer.pragma('wal_checkpoint(PASSIVE)');
  };
  whole(() => copy.copy(), write);
  whole(() => copy.match(), write);
  expect(steps).toBeLessThan(30);
  expect(numbers()).toEqual([0, 0]);
});
