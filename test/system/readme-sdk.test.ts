/** The programs of README's section on the SDK, as they stand there, in a project of their own. */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const environment = (node: TestNode): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: node.home, BECKON_HOME: node.home });

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
let project: string;

/** Each block that names its file: ```ts agent.ts */
function programs(): Map<string, string> {
  const blocks = readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts (\S+)\n(.*?)^```$/gms);
  return new Map([...blocks].map(([, name = '', text = '']) => [name, text]));
}

/** The package as it is published, with the libraries of this checkout. */
async function installPackage(): Promise<void> {
  const installed = join(project, 'node_modules', 'beckon');
  mkdirSync(installed, { recursive: true });
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json'), '--outDir', join(installed, 'dist')], { cwd: root });
  writeFileSync(join(installed, 'package.json'), readFileSync(join(root, 'package.json')));
  symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'));
  symlinkSync(join(root, 'node_modules', '@types'), join(project, 'node_modules', '@types'));
}

beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  project = cluster.path('project');
  mkdirSync(project);
  for (const [name, text] of programs()) writeFileSync(join(project, name), text);
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  await installPackage();
}, 120_000);
afterAll(() => cluster[Symbol.asyncDispose]());

test('README’s agent has 20 lines and its caller 10', () => {
  const lengths = [...programs()].map(([name, text]) => [name, text.trimEnd().split('\n').length]);
  expect(lengths).toEqual([['agent.ts', expect.any(Number)], ['caller.ts', expect.any(Number)]]);
  expect(lengths[0]?.[1]).toBeLessThanOrEqual(20);
  expect(lengths[1]?.[1]).toBeLessThanOrEqual(10);
});

test('they type check in a strict project of a user, the package’s declarations too', async () => {
  const compilerOptions = { strict: true, target: 'es2024', lib: ['es2024'], module: 'nodenext', types: ['node'], skipLibCheck: false, noEmit: true, exactOptionalPropertyTypes: true };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [...programs().keys()] }));
  const checked = run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
  expect(await checked.catch((error: { stdout: string }) => ({ stdout: error.stdout }))).toMatchObject({ stdout: '' });
});

test('README’s agent serves, and its caller calls it from another node', async () => {
  const agent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'agent.ts'], { cwd: project, env: environment(desktop) });
  let said = '';
  for (const stream of [agent.stdout, agent.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise((resolve) => agent.once('exit', resolve));
  try {
    await waitFor('the agent to serve', () => said.includes('is served') || agent.exitCode !== null, { timeoutMs: 20_000 });
    expect(said).toBe('@librarian@desktop#project is served\n');
    const isKnown = async (): Promise<boolean> => JSON.stringify(await laptop.json(['agents'])).includes('"available":true');
    await waitFor('the laptop to know it', isKnown, { timeoutMs: 20_000 });
    const call = (): ReturnType<typeof run> => run(process.execPath, ['--disable-warning=ExperimentalWarning', 'caller.ts'], { cwd: project, env: environment(laptop) });
    const stderr = 'looking for shopping.txt\n';
    expect(await call()).toEqual({ stdout: 'shopping.txt is new\ncompleted\n', stderr });
    expect(await call()).toEqual({ stdout: 'shopping.txt\ncompleted\n', stderr });
  } finally {
    agent.kill('SIGTERM');
    await ended;
  }
  expect([agent.exitCode, said]).toEqual([0, '@librarian@desktop#project is served\n']);
});
