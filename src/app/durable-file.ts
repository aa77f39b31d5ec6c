/** Small files in which a node keeps something for its next start, or for `doctor`: a crash leaves them whole, old or new. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import { isMissing, wordsOf } from '../domain/system-error.ts';

/** As UTF-8. @returns undefined where there is none. @throws BrokerError `unavailable`, naming it */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw unavailable(`${path} can’t be read: ${wordsOf(thrown)}`);
  }
}

/** What such a file says, for a schema to judge; undefined for what is no JSON. */
export function jsonOf(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/**
 * On the disk when it resolves, mode 0600. The directory has to be there: one that was removed under a running node is not
 * made again for this file alone.
 * @throws the system's error
 */
export async function writeDurably(path: string, content: string): Promise<void> {
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

/** What was made, renamed or removed in it is on the disk when it resolves. @throws the system's error */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
