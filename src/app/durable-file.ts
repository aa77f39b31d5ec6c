/** Small files that a crash leaves whole, old or new. */
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** On the disk when it resolves, mode 0600. */
export async function writeDurably(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
