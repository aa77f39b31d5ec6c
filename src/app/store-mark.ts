/** How far the store has come, written down apart from it. */
import type { Store } from '../domain/store-port.ts';
import { writeEpochFile } from '../store/epoch-file.ts';

/** Writes how far the store has come, when it has come further. */
export function markKeeper(path: string, store: Store, epoch: number): () => Promise<void> {
  let written = 0;
  return async () => {
    const fact = store.read.newestFact();
    if (fact === written) return;
    await writeEpochFile(path, { epoch, fact });
    written = fact;
  };
}
