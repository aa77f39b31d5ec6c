/** The log of a node, in its file. */
import { openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../domain/ports.ts';
import { createLog } from './log.ts';
import { ensurePrivateDir } from './private-dir.ts';

export { silentLog } from './log.ts';

/** Appends; its directory is made when it is missing. @throws BrokerError when the directory can't be trusted */
export async function openNodeLog(path: string): Promise<Log> {
  await ensurePrivateDir(dirname(path));
  return createLog(openSync(path, 'a', 0o600));
}
