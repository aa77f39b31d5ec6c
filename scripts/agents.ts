// `npm run agents`: installs the real agents that `npm run test:agents` drives, once, outside the checkout, and prints
// where their programs are. Exits 75 when the registry does not answer, so that a caller can tell that from a failure.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { agentsManifest, agentsPlace } from './agents/place.ts';
import { environment } from './run.ts';

/** EX_TEMPFAIL of sysexits.h. */
const registryIsSilent = 75;

/** stdout is for the answer alone. Resolves to the exit code. */
function npm(cwd: string, ...args: string[]): number {
  const { status, error } = spawnSync('npm', args, { cwd, env: environment, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  return status ?? 1;
}

/** Into a directory of its own first: what is there under the final name is complete, also when two install at once. */
function install(place: string): boolean {
  mkdirSync(dirname(place), { recursive: true });
  const building = mkdtempSync(`${place}-`);
  try {
    cpSync(agentsManifest, building, { recursive: true });
    // Not `ci`, which refuses a lockfile without the binaries of platforms that a registry does not have. No scripts: what
    // they would compile is there as a binary. OpenCode's, which puts its binary in place, is run by itself.
    if (npm(building, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error') !== 0) return false;
    const opencode = join(building, 'node_modules', 'opencode-ai');
    if (existsSync(opencode)) spawnSync(process.execPath, ['postinstall.mjs'], { cwd: opencode, stdio: ['ignore', 2, 2] });
    if (!existsSync(place)) renameSync(building, place);
    return true;
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

const { place, programs } = agentsPlace(process.env);
if (!existsSync(place)) {
  console.error(`installing Claude Code, Codex, Gemini CLI and OpenCode into ${place} (about 1 GB)`);
  if (npm(agentsManifest, 'ping', '--loglevel=error') !== 0) {
    console.error('the registry does not answer');
    process.exitCode = registryIsSilent;
  } else if (!install(place)) process.exitCode = 1;
}
if (existsSync(place)) console.log(programs);
