/**
 * How far this node's store has come, in a small file beside the database: a database that is behind it was put back to
 * an older state by someone.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { invalid, unavailable } from '../domain/errors.ts';
import type { StoreMark } from '../domain/store-port.ts';

/** @returns undefined when there is none. @throws BrokerError `invalid` when it holds something else, `unavailable` */
export async function readEpochFile(path: string): Promise<StoreMark | undefined> {
  let content: string;
  try {
    content = await readFile(path, 'latin1');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw unavailable(`${path} can't be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  const match = /^(\d{1,15}) (\d{1,15})\n$/.exec(content);
  if (match === null) throw invalid(`${path} does not say how far the database is`, 'remove it if the database beside it was never put back to an older state');
  return { epoch: Number(match[1]), fact: Number(match[2]) };
}

/** On the disk when this resolves. @throws BrokerError `unavailable` */
export async function writeEpochFile(path: string, { epoch, fact }: StoreMark): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await using file = await open(fresh, 'w', 0o600);
    await file.writeFile(`${epoch} ${fact}\n`);
    await file.sync();
    await rename(fresh, path);
    await using directory = await open(dirname(path), 'r');
    await directory.sync();
  } catch (thrown) {
    throw unavailable(`${path} can't be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
