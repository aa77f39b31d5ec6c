/** `agent scan`, as a person at a terminal and as a script has it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ScannedProject } from '../../src/broker/api.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

const project = (name: string, more: Partial<ScannedProject> = {}): ScannedProject => ({
  ...{ root: `/src/${name}`, name, why: ['.beckon/project.json'], harness: 'command', command: ['./agent.sh', 'a b'], permissions: 'ask', isolate: false, env: [], visibility: 'mesh', description: '', capabilities: [], labels: {}, state: 'new' },
  instances: [{ address: `@${name}@laptop#main`, cwd: `/src/${name}`, registered: false }],
  fingerprint: `of ${name}`,
  ...more,
});

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const approved = (): string[] => node.broker.projects.approved.flatMap((each) => each.approvals.map(({ root, fingerprint }) => `${root} ${fingerprint}`));

test('shows each project: what it runs, why, what is the matter with it; and neutralises what it says', async () => {
  node.broker.projects.found = [
    project('shop', { env: ['CI=1'], description: 'a \u001b[2Jshop', isolate: true, visibility: 'node' }),
    project('till', { state: 'refused', harness: '', command: [], problem: 'it is bad', instances: [] }),
    project('old', { state: 'ignored', instances: [] }),
  ];
  node.broker.projects.notes = ['1 repository was left out'];
  const { code, stdout, stderr } = await node.run(['agent', 'scan', 'src', '/x'], { cwd: '/home/ada' });
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    '@shop  new  /src/shop',
    "  runs        command: ./agent.sh 'a b'",
    '  doing       does what its command does; in a git worktree of its own each time; callable on this machine only',
    '  gets        CI=1',
    '  says        a ␛[2Jshop',
    '  because of  .beckon/project.json',
    '  @shop@laptop#main  /src/shop  would be callable',
    '@till  refused  /src/till',
    '  because of  .beckon/project.json',
    '  but         it is bad',
    '@old  ignored  /src/old',
    '',
  ]);
  expect(stderr).toContain('1 repository was left out');
  expect(stderr).toContain('nothing was changed: say yes in a terminal, or with --yes');
  expect(node.broker.projects.asked).toEqual([{ directories: ['/home/ada/src', '/x'], cwd: '/home/ada', path: '/usr/bin:/bin' }]);
  expect(approved()).toEqual([]);
});

test('shows all that a yes is for, and the ends of lines, behind which a comment ends', async () => {
  node.broker.projects.found = [
    project('shop', { command: ['sh', '-c', 'true # tests\nrm -rf .\t'], env: ['A=1 B=2', 'C=\n'], capabilities: ['review', 'deploy'], labels: { team: 'web', tier: 'a b' }, defaultWorkspace: 'next' }),
  ];
  const { stdout } = await node.run(['agent', 'scan']);
  expect(stdout.split('\n').slice(1, -3)).toEqual([
    "  runs        command: sh -c 'true # tests␊rm -rf .␉'",
    '  doing       does what its command does',
    "  gets        'A=1 B=2' 'C=␊'",
    '  can         review, deploy',
    "  labelled    team=web 'tier=a b'",
    '  by default  next',
  ]);
});

test('a script says yes to all that is shown, or to one by name, and is told what came of it', async () => {
  node.broker.projects.found = [project('shop'), project('till', { state: 'changed' }), project('done', { state: 'approved' }), project('bad', { state: 'refused', problem: 'it is bad' })];
  const all = await node.run(['agent', 'scan', '--yes', '--json']);
  expect([all.code, all.json]).toMatchObject([0, { added: ['@shop@laptop#main', '@till@laptop#main'], removed: [], notes: [] }]);
  expect(Object.keys((all.json['projects'] as object[])[3] ?? {}).slice(0, 9)).toEqual(['root', 'name', 'why', 'harness', 'command', 'permissions', 'state', 'problem', 'instances']);
  expect(approved()).toEqual(['/src/shop of shop', '/src/till of till']);
  node.broker.projects.approved.length = 0;
  expect((await node.run(['agent', 'scan', '--yes', '--only', '@till'])).stdout).toContain('+ @till@laptop#main');
  expect(approved()).toEqual(['/src/till of till']);
});

test.each([
  [['--only', 'shop'], 2, '--only says what --yes is for'],
  [['--yes', '--only', 'none'], 3, 'no project here is called none'],
  [['--yes', '--only', 'bad'], 6, '/src/bad: it is bad'],
  [['--yes', '--only', 'old'], 6, '/src/old is ignored, by the config file'],
  [['--forget', '/src/none'], 3, 'no project /src/none is approved here'],
  [['--forget', '/src/shop', '--yes'], 2, '--forget stands alone'],
] as const)('%j exits %i', async (args, code, message) => {
  node.broker.projects.found = [project('shop'), project('bad', { state: 'refused', problem: 'it is bad' }), project('old', { state: 'ignored' })];
  const ran = await node.run(['agent', 'scan', ...args]);
  expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(message)]);
  expect(approved()).toEqual([]);
});

test('a person is asked for each; no is what an empty line means, and all is all that follow', async () => {
  node.broker.projects.found = [project('a'), project('b'), project('c', { state: 'changed' }), project('d'), project('e', { state: 'refused', problem: 'it is bad' })];
  const asked = node.process({ stdinIsTerminal: true, terminal: true });
  const ended = asked.run('agent', 'scan');
  for (const [question, answer] of [['Let a be called', 'y'], ['Let b be called', ''], ['Take what c says now', 'what?'], ['one of y, n, all', 'all']] as const) {
    await waitFor(question, () => asked.stderr.includes(question));
    (asked.host.stdin as unknown as { write(text: string): void }).write(`${answer}\n`);
  }
  expect(await ended).toBe(0);
  expect(approved()).toEqual(['/src/a of a', '/src/c of c', '/src/d of d']);
  expect(asked.stdout).toContain('+ @d@laptop#main');
});

test('what was said yes to before the person left stays', async () => {
  node.broker.projects.found = [project('a'), project('b')];
  const asked = node.process({ stdinIsTerminal: true, terminal: true });
  const ended = asked.run('agent', 'scan');
  const stdin = asked.host.stdin as unknown as { write(text: string): void; end(): void };
  stdin.write('y\n');
  await waitFor('the second question', () => asked.stderr.includes('Let b be called'));
  stdin.end();
  expect(await ended).toBe(7);
  expect(asked.stderr).toContain('beckon agent scan');
  expect(approved()).toEqual(['/src/a of a']);
});

test('a project is forgotten by its root, from wherever', async () => {
  node.broker.projects.found = [project('shop', { state: 'approved' })];
  const { code, stdout, stderr } = await node.run(['agent', 'scan', '--forget', 'shop'], { cwd: '/src' });
  expect([code, stdout]).toEqual([0, '@shop@laptop#main is unlisted\n']);
  expect(stderr).toContain('/src/shop is forgotten');
  expect(stderr).toContain('1 held invocation failed with agent_offline');
});
