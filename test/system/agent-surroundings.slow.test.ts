/** What each kind of agent's process is given by its node: a closed list, with no key and no token of the node but the one of its own flight. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeKeys } from '../../src/domain/node-keys.ts';
import { acpAgentFile } from '../support/acp-endpoint.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { GitRepository } from '../support/git-repository.ts';
import type { TestNode } from '../support/node-process.ts';
import { ServedProcess } from '../support/served-process.ts';
import { findProgram } from '../support/programs.ts';
import { Notebook } from '../support/surroundings.ts';
import type { Surroundings } from '../support/surroundings.ts';
import { waitFor } from '../support/wait-for.ts';

/** In the node's own environment, and in no agent's. */
const poison = {
  ...Object.fromEntries(nodeKeys.map((name) => [name, `tskey-${name.toLowerCase()}-of-the-node`])),
  BECKON_TOKEN: 'flt_01J9Z6M3T4V8Q2X7K5B1C0D9EF.of-who-started-the-node',
  AWS_SECRET_ACCESS_KEY: 'secret-of-the-shell',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret-of-the-collector',
  NODE_OPTIONS: '--no-deprecation',
  LC_TEST: 'locale',
} as const;

const ofEveryAgent = ['HOME', 'LANG', 'LC_*', 'LOGNAME', 'PATH', 'SHELL', 'USER', 'TMPDIR', 'SSH_AUTH_SOCK', 'GPG_AGENT_INFO', 'GNUPGHOME'];
/** How any agent of the protocol gets out to its model. */
const ofTheNetwork = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];
const ofItsFlight = ['BECKON_DEPTH', 'BECKON_FLIGHT_ID', 'BECKON_HOME', 'BECKON_INVOCATION_ID', 'BECKON_ROOT_INVOCATION_ID', 'BECKON_RUN', 'BECKON_TARGET', 'BECKON_TOKEN'];

let cluster: Cluster;
let node: TestNode;
let notebook: Notebook;
let repository: GitRepository;
let served: ServedProcess | undefined;

beforeAll(async () => {
  cluster = await Cluster.create();
  node = await cluster.node('laptop');
  notebook = new Notebook(cluster.path('told'));
  repository = GitRepository.make(cluster.path('shop'), { 'a.txt': 'a\n' });
  const notify = cluster.program('notify', 'cat > /dev/null; cat /proc/$$/environ > "$0.env.new"; mv "$0.env.new" "$0.env"');
  writeFileSync(join(node.home, 'config.toml'), `notify = ["${notify}"]\n`, { mode: 0o600 });
  // Whoever starts it has something open, as a shell or a service manager may: right behind the streams, and far off.
  const opened = cluster.path('of-the-shell');
  writeFileSync(opened, 'secret-of-the-shell', { mode: 0o600 });
  const opening = findProgram('bash') !== undefined ? ['bash', '-c', `exec 3<'${opened}' 40<'${opened}' 251>>'${opened}' && exec "$@"`, 'bash'] : ['sh', '-c', `exec 3<'${opened}' 9>>'${opened}' && exec "$@"`, 'sh'];
  await node.up({ env: poison, through: opening });
  await node.json(['mesh', 'create', 'home']);
}, 60_000);
afterAll(async () => {
  served?.signal('SIGKILL');
  await served?.ended();
  await cluster?.[Symbol.asyncDispose]();
});

interface Flown {
  readonly flightId: string;
  readonly session: string;
}

async function flown(address: string, task: string, flags: readonly string[] = []): Promise<Flown> {
  const { code, events, stderr } = await node.invoke([address, task, ...flags]);
  if (code !== 0) throw new Error(`${address} exited ${code}: ${stderr} ${JSON.stringify(events.at(-1))}`);
  const of = (type: string): Json | undefined => events.find((each) => each['type'] === type);
  return { flightId: String(of('accepted')?.['flightId']), session: String(of('started')?.['session']) };
}

/** What the key files hold, the lines of it that could be told from anything else. */
function keysOfNode(): string[] {
  const directory = join(node.home, 'trust');
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.key')).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n')).filter((line) => line.length >= 16 && !line.startsWith('-----'));
}

function expectClosed({ env, files }: Surroundings, flight: Flown, { more = [] as readonly string[] } = {}): void {
  const known = new Set([...ofEveryAgent, ...ofItsFlight, ...more]);
  expect([...env.keys()].filter((name) => !known.has(name.startsWith('LC_') ? 'LC_*' : name))).toEqual([]);
  for (const name of ofItsFlight) expect([name, env.has(name)]).toEqual([name, true]);
  expect(env.get('LC_TEST')).toBe('locale');
  expect(env.get('BECKON_FLIGHT_ID')).toBe(flight.flightId);
  expect(env.get('BECKON_TOKEN')).toMatch(new RegExp(`^${flight.flightId}\\.[\\w-]{43}$`));
  // Its three streams, and nothing that the node has open: no store, no socket of a peer, no log, no key.
  expect([...files.keys()]).toEqual([0, 1, 2]);
  const places = [...files.values()].filter((what) => what.startsWith('/') && what !== '/dev/null' && !what.endsWith(' (deleted)'));
  expect(places).toEqual([]);
  const all = [...env.values()].join('\n');
  const keys = keysOfNode();
  expect(keys.length).toBeGreaterThan(0);
  for (const secret of [...keys, ...Object.values(poison).filter((each) => each !== 'locale')]) expect(all).not.toContain(secret);
}

const only = (all: readonly Surroundings[], count: number): Surroundings => {
  expect(all).toHaveLength(count);
  return all[count - 1] as Surroundings;
};

test('a command has its own flight’s token and three streams, with task files their directory besides', async () => {
  const plain = await node.addAgent('plain', notebook.telling('plain', ['cat']), ['--cwd', repository.path]);
  const first = await flown(plain, 'a task');
  const around = only(notebook.told('plain'), 1);
  expectClosed(around, first);
  expect(around.cwd).toBe(repository.path);
  const given = cluster.path('notes.txt');
  writeFileSync(given, 'notes');
  const second = await flown(plain, 'a task', ['-f', given]);
  expectClosed(only(notebook.told('plain'), 2), second, { more: ['BECKON_FILES'] });
});

test('a value that is named is passed on, and a key of the node is refused by name', async () => {
  const named = await node.addAgent('named', notebook.telling('named', ['cat']), ['--env', 'AWS_SECRET_ACCESS_KEY']);
  await flown(named, 'x');
  expect(only(notebook.told('named'), 1).env.get('AWS_SECRET_ACCESS_KEY')).toBe('secret-of-the-shell');
  for (const key of nodeKeys) {
    const { code, json } = await node.beckon(['agent', 'add', 'greedy', '--workspace', 'main', '--env', key, '--json', '--', 'cat']);
    expect([code, json['error']['message']]).toEqual([2, `${key} is a key of the node itself, which no agent gets`]);
  }
});

test('an isolated agent, and a hook of git that runs for it, have no more, in a directory of the flight’s own', async () => {
  const hook = join(repository.path, '.git/hooks/post-checkout');
  const [shell = '', flag = '', script = ''] = notebook.telling('hook', ['true']);
  writeFileSync(hook, `#!/bin/sh\n${shell} ${flag} '${script.replaceAll("'", String.raw`'\''`)}' sh true\n`);
  chmodSync(hook, 0o755);
  const flight = await flown(await node.addAgent('apart', notebook.telling('apart', ['sh', '-c', 'echo more >> a.txt']), ['--isolate', '--cwd', repository.path]), 'x');
  const around = only(notebook.told('apart'), 1);
  expectClosed(around, flight);
  expect(around.cwd).toMatch(/worktrees\/[0-9a-z]{26}$/);
  const hooked = only(notebook.told('hook'), 1);
  const known = /^(GIT_\w+|PWD|OLDPWD|SHLVL|_|LC_\w+)$/;
  expect([...hooked.env.keys()].filter((name) => !known.test(name) && !ofEveryAgent.includes(name))).toEqual([]);
  expect(hooked.env.has('BECKON_TOKEN')).toBe(false);
  expect([...hooked.files.keys()]).toEqual([0, 1, 2]);
});

test('an ACP agent has the token of the flight that began its process, for its later turns too; one that was started again has its own', async () => {
  const store = cluster.path('sessions');
  mkdirSync(store);
  const talks = await node.addAgent('talks', notebook.telling('talks', [process.execPath, acpAgentFile, '--store', store]), ['--harness', 'acp', '--cwd', repository.path]);
  const first = await flown(talks, 'say cold');
  expectClosed(only(notebook.told('talks'), 1), first, { more: ofTheNetwork });
  const warm = await flown(talks, 'say warm\nlater 50', ['--continue']);
  expect([warm.session, warm.flightId === first.flightId]).toEqual([first.session, false]);
  only(notebook.told('talks'), 1);
  await waitFor('its process to end', () => cluster.processes.every(({ command }) => !command.includes(store)));
  const again = await flown(talks, 'say cold again', ['--session', first.session]);
  const restarted = notebook.told('talks').find(({ env }) => env.get('BECKON_FLIGHT_ID') === again.flightId);
  expect(notebook.told('talks')).toHaveLength(2);
  expectClosed(restarted as Surroundings, again, { more: ofTheNetwork });
});

test('a process that serves is handed the flight’s own variables with each run, and nothing of the node’s', async () => {
  served = await new ServedProcess({ node, name: 'serves', body: 'yield JSON.stringify(context.env)' }).serving();
  const { last, events } = await node.invoke(['serves', 'x']);
  const handed = JSON.parse(String(last['output'])) as Record<string, string>;
  expect(Object.keys(handed).toSorted()).toEqual([...ofItsFlight].toSorted());
  expect(handed['BECKON_TOKEN']).toMatch(new RegExp(`^${String(events[0]?.['flightId'])}\\.`));
});

test('the program that tells its person has the node’s environment without its keys', async () => {
  const heard = cluster.path('notify.env');
  const plain = await node.addAgent('done', ['cat']);
  await node.invoke([plain, 'x', '--notify']);
  const env = await waitFor('it to be told', () => {
    const told = readdirSync(cluster.directory).includes('notify.env') ? readFileSync(heard, 'utf8') : '';
    return told.includes('BECKON_EVENT=finished') ? told.split('\0') : undefined;
  });
  const names = env.map((each) => each.slice(0, each.indexOf('=')));
  expect(names).toContain('AWS_SECRET_ACCESS_KEY');
  for (const name of [...nodeKeys, 'BECKON_TOKEN']) expect(names).not.toContain(name);
});
