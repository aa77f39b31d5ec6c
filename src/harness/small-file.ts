/** Small files that others may have put there: no pipe is waited for, nothing is read without end. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * The beginning of a regular file, links followed; undefined of anything else that stands there.
 * @param mostBytes no more is read
 * @throws the system's error
 */
export async function beginningOf(path: string, mostBytes: number): Promise<string | undefined> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  if (!(await file.stat()).isFile()) return undefined;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
