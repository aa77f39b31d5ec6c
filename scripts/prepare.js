// What `npm ci` ends with, on any Node that npm has: builds dist/, which scripts/beckon prefers. Where the tools for it
// are missing (`--omit=dev`) or can't run, Beckon runs from its sources, and installing it does not fail for that.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const pinned = here('node_modules/node/bin/node');

if (existsSync(here('node_modules/rolldown')) && existsSync(here('node_modules/typescript')) && existsSync(pinned)) {
  const { status } = spawnSync(pinned, ['--disable-warning=ExperimentalWarning', here('scripts/build.ts')], { stdio: 'inherit' });
  if (status !== 0) console.error('beckon was not built: scripts/beckon runs it from its sources');
}
