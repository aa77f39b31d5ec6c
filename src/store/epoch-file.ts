/**
 * The newest epoch that this node has begun, in a small file beside the database: a database that is older was put
 * back by someone.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { invalid, unavailable } from '../domain/errors.ts';

/** @returns undefined when there is none. @throws BrokerError `invalid` when it holds something else, `unavailable` */
export function readEpochFile(path: string): number | undefined {
  let content: string;
  try {
    content = readFileSync(path, 'latin1');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw unavailable(`${path} can't be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (!/^\d{1,15}\n$/.test(content)) throw invalid(`${path} holds no epoch`, 'remove it if the database beside it was never put back to an older state');
  return Number(content);
}

/** On the disk when this returns. @throws BrokerError `unavailable` */
export function writeEpochFile(path: string, epoch: number): void {
  const fresh = `${path}.new`;
  try {
    const file = openSync(fresh, 'w', 0o600);
    try {
      writeSync(file, `${epoch}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
    const directory = openSync(dirname(path), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  } catch (thrown) {
    throw unavailable(`${path} can't be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
