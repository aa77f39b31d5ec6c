import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { createHarnesses } from '../../src/harness/registry.ts';
import { acpAgent } from '../support/acp-endpoint.ts';
import { harnessContract } from './harness.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-acp-')));
const [temporary, store] = [join(root, 'tmp'), join(root, 'store')];
await mkdir(temporary);
await mkdir(store);
afterAll(() => rm(root, { recursive: true, force: true }));

const harness = createHarnesses({ clock: createSystemClock(), environment: { TMPDIR: temporary, HOME: root } }).get('acp');
if (harness === undefined) throw new Error('there is a harness named acp');

const always = (steps: string, ...options: string[]) => acpAgent(root, '--always', steps, ...options);

harnessContract('acp', harness, {
  echo: always('echo'),
  lineThenIdle: always('line;idle'),
  large: always('large'),
  family: always('family'),
  flightId: always('env BECKON_FLIGHT_ID'),
  missing: { ...acpAgent(root), argv: ['no-such-agent'] },
  asks: always('yes-or-no'),
  counts: always('count', '--store', store),
  busy: always('think well;plan one|two;tool Look it up;usage;say done'),
});
