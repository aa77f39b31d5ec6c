/** From a path to the connection that writes, with the newest schema. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import { wordsOf } from '../domain/system-error.ts';
import { openWriting } from './connection.ts';
import type { Connection } from './connection.ts';
import { inside, look, refusal } from './look.ts';
import { checkSchema, migrate, migrations } from './migrations.ts';

/**
 * A file that is missing is made, mode 0600; its directory must exist.
 * @throws BrokerError as `look` does, with the file as it was
 */
export function openDatabase(path: string, steps: readonly string[] = migrations, tell?: (text: string) => void): Connection {
  const found = look(path, steps.length);
  if (found === 'none') make(path);
  if (found === 'older') inside(path, (db) => checkSchema(db, steps));
  let db: Connection | undefined;
  try {
    db = openWriting(path);
    migrate(db, path, steps, tell);
    db.exec('BEGIN IMMEDIATE; ROLLBACK');
    return db;
  } catch (thrown) {
    db?.close();
    throw refusal(path, thrown);
  }
}

/** The file and its name are on the disk before anything is stored in it. */
function make(path: string): void {
  try {
    const file = openSync(path, 'a', 0o600);
    fsyncSync(file);
    closeSync(file);
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (thrown) {
    throw unavailable(`the database ${path} can’t be made: ${wordsOf(thrown)}`);
  }
}
