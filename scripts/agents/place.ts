import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory with the manifest and its lockfile. */
export const agentsManifest = fileURLToPath(new URL('.', import.meta.url));

/** Where the agents of this lockfile are installed, whether they are or not: a cache directory, so that a fresh clone finds them. */
export function agentsPlace(env: NodeJS.ProcessEnv): { readonly place: string; readonly programs: string } {
  const cache = env['XDG_CACHE_HOME'] ?? '';
  const locked = readFileSync(join(agentsManifest, 'package-lock.json'));
  const version = createHash('sha256').update(locked).digest('hex').slice(0, 16);
  const place = join(cache === '' ? join(homedir(), '.cache') : cache, 'beckon-agents', version);
  return { place, programs: join(place, 'node_modules', '.bin') };
}
