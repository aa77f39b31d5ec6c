/** A secret in a file of its own: written once, mode 0600, and never over anything that is there. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * A crash leaves a whole file or none; it is durable when this returns. The directory has to be there.
 * @throws what the file system says, as it is; `EEXIST` when something is at `path`
 */
export async function writeNewFile(path: string, content: string | Buffer): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${randomBytes(9).toString('base64url')}.tmp`);
  try {
    {
      await using file = await open(temporary, 'wx', 0o600);
      await file.writeFile(content);
      await file.chmod(0o600);
      await file.sync();
    }
    // link, unlike rename, fails when another process was first.
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await using parent = await open(directory, constants.O_RDONLY);
  await parent.sync();
}
