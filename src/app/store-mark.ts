/**
 * How far this node's store has come, in a small file beside the database: a database that is behind it was put back to
 * an older state by someone.
 */
import { invalid, unavailable } from '../domain/errors.ts';
import type { Store, StoreMark } from '../domain/store-port.ts';
import { wordsOf } from '../domain/system-error.ts';
import { readIfThere, writeDurably } from './durable-file.ts';

/** @returns undefined when there is none. @throws BrokerError `invalid` when it holds something else, `unavailable` */
export async function readStoreMark(path: string): Promise<StoreMark | undefined> {
  const content = await readIfThere(path);
  if (content === undefined) return undefined;
  const match = /^(\d{1,15}) (\d{1,15})\n$/.exec(content);
  if (match === null) throw invalid(`${path} does not say how far the database is`, 'remove it if the database beside it was never put back to an older state');
  return { epoch: Number(match[1]), fact: Number(match[2]) };
}

/** @returns writes how far the store has come, when it has come further; on the disk when that resolves. It rejects with BrokerError `unavailable`. */
export function markKeeper(path: string, store: Store, epoch: number): () => Promise<void> {
  let written = 0;
  return async () => {
    const fact = store.read.newestFact();
    if (fact === written) return;
    await writeStoreMark(path, { epoch, fact });
    written = fact;
  };
}

async function writeStoreMark(path: string, { epoch, fact }: StoreMark): Promise<void> {
  try {
    await writeDurably(path, `${epoch} ${fact}\n`);
  } catch (thrown) {
    throw unavailable(`${path} can’t be written: ${wordsOf(thrown)}`);
  }
}
