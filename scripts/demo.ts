// `npm run demo`: three nodes on this machine play the jobs that Beckon is for, with real processes, and check what
// they claim. Ends with 0 only when every step did what it says. `npm run demo -- --stay` leaves the nodes up.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invokeWork, setUp, sleepAndWake, whatHappened } from './demo/jobs.ts';
import type { Stage } from './demo/jobs.ts';
import { beckon, freePorts, Machine } from './demo/machine.ts';
import { DemoFailure, done, failed, note, say } from './demo/narration.ts';
import { Project } from './demo/project.ts';

const [option, ...rest] = process.argv.slice(2);
const staying = option === '--stay';
if ((option !== undefined && !staying) || rest.length > 0) {
  failed('the demo takes one option: npm run demo -- --stay');
  process.exit(2);
}

const names = ['laptop', 'desktop', 'server'] as const;

// Resolved, because /tmp is a link on macOS and agents are told the real directory.
const directory = mkdtempSync(join(realpathSync(tmpdir()), 'beckon-demo-'));
const machines = names.map((name) => {
  const home = join(directory, name);
  mkdirSync(home, { mode: 0o700 });
  return new Machine(name, home);
});

async function play(): Promise<void> {
  const began = Date.now();
  say(`Three nodes on this machine, each a process with a home of its own below ${directory}.`);
  const [laptop, desktop, server] = machines as [Machine, Machine, Machine];
  const project = new Project(join(directory, 'greetings'));
  project.create();
  const [first = 0, second = 0, third = 0] = await freePorts(3);
  const stage: Stage = { laptop, desktop, server, project, ports: [first, second, third], copy: join(directory, 'greetings-copy') };
  await setUp(stage);
  await invokeWork(stage);
  const invocationId = await sleepAndWake(stage);
  await whatHappened(stage, invocationId);
  done(`All of it did what it says, in ${Math.round((Date.now() - began) / 1000)} s.`);
}

let cleaning: Promise<void> | undefined;

/** Stops all nodes and removes the directory, once. */
function cleanUp(): Promise<void> {
  cleaning ??= Promise.all(machines.map((machine) => machine.stop())).then(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return cleaning;
}

function howToStay(): void {
  say('\nThe nodes stay up. Talk to them:');
  for (const { home } of machines) note(`  BECKON_HOME=${home} ${beckon} agents`);
  say('Stop them, and remove what they hold:');
  for (const { home } of machines) note(`  BECKON_HOME=${home} ${beckon} down`);
  note(`  rm -r ${directory}`);
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => {
    failed('interrupted: stopping the nodes');
    void cleanUp().finally(() => process.exit(code));
  });
}

try {
  await play();
} catch (error) {
  if (cleaning === undefined) {
    failed(error instanceof DemoFailure ? error.message : `the demo itself failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    for (const machine of machines) for (const line of machine.lastWords()) note(`  ${machine.name}: ${line}`);
    process.exitCode = 1;
  }
}
if (staying && cleaning === undefined) howToStay();
else await cleanUp();
