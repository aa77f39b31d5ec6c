/** Where the log of a node in this process goes. */
import { openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../domain/ports.ts';
import { createLog, silentLog } from './log.ts';
import { ensurePrivateDir } from './private-dir.ts';

const standardError = 2;

/** Nowhere, to `file`, or to stderr, which a service manager or `up --detach` collects. @throws BrokerError */
export async function openNodeLog({ isSilent, file }: { readonly isSilent: boolean; readonly file: string | undefined }): Promise<Log> {
  if (isSilent) return silentLog;
  if (file === undefined) return createLog(standardError);
  await ensurePrivateDir(dirname(file));
  return createLog(openSync(file, 'a', 0o600));
}
