/** What lies in directories that somebody else filled, and what comes with a task: nothing of it runs, leads out or lets the node wait. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { specOf } from '../support/asking.ts';
import { attack, harmless, toldByError } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { all, AttackedMachine, theCall, toldByAll } from '../support/attacked-machine.ts';
import { GitRepository } from '../support/git-repository.ts';
import { fetchingBy, program, runningAtEveryTurn } from '../support/hostile-repository.ts';

let machine: AttackedMachine;
beforeAll(async () => {
  machine = await AttackedMachine.start();
}, 60_000);
afterAll(() => machine?.[Symbol.asyncDispose]());

const victim = () => machine.attacked();
const at = (...names: readonly string[]): string => machine.cluster.path(...names);
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const scan = (directory: string) => machine.person.scanProjects({ directories: [directory], cwd: directory, path });

function manifest(directory: string, words: object): void {
  mkdirSync(join(directory, '.beckon'), { recursive: true });
  writeFileSync(join(directory, '.beckon', 'project.json'), JSON.stringify(words));
}

/** A scan is no call that is refused: what it shows of each project is. */
async function problemOf(directory: string): Promise<Told> {
  const { projects } = await scan(directory);
  const [project] = projects;
  if (project?.state !== 'refused') throw new Error(`it was not refused: ${JSON.stringify(projects)}`);
  return { code: 'invalid', words: project.problem ?? '' };
}

attack('a repository whose manifest says with which environment git is to be run', {
  victim,
  arrange: () => {
    const repository = GitRepository.make(at('environment', 'repo'), { a: '1' });
    mkdirSync(at('environment', 'bin'));
    program(at('environment', 'bin', 'git'), `#!/bin/sh\ntouch ${at('proof-path')}\n`);
    program(join(repository.path, 'git'), `#!/bin/sh\ntouch ${at('proof-cwd')}\n`);
    manifest(repository.path, { name: 'evil', command: ['cat'], isolate: true, env: [`PATH=${at('environment', 'bin')}`, `GIT_TRACE2=${at('proof-trace')}`, `GIT_SSH_COMMAND=touch ${at('proof-ssh')}`, 'LD_PRELOAD=/nowhere/evil.so', 'BASH_ENV=/nowhere/evil.sh', 'NODE_OPTIONS=--require=/nowhere/evil.js'] });
    return Promise.resolve(repository.path);
  },
  act: async (directory) => {
    const { projects } = await machine.person.scanProjects({ directories: [directory], cwd: directory, path: `.:${path}` });
    expect(projects).toMatchObject([{ state: 'new', name: 'evil', env: expect.arrayContaining(['LD_PRELOAD=/nowhere/evil.so']) }]);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'looking is what was asked for' },
  holds: () => expect(readdirSync(at()).filter((name) => name.startsWith('proof'))).toEqual([]),
  shows: 'looking at a project runs git as the node has it: neither the PATH, nor a preload, nor a trace that the project asks for',
});

attack('a repository that lacks its commit and says which program fetches it', {
  victim,
  arrange: () => {
    const repository = GitRepository.make(at('fetching'), { a: '1' });
    manifest(repository.path, { name: 'fetching', command: ['cat'], isolate: true });
    fetchingBy(repository, at('proof-fetch'));
    return Promise.resolve(repository.path);
  },
  act: async (directory) => {
    await scan(directory);
    await machine.person.addAgent(specOf({ name: 'fetching', cwd: directory, isolate: true }));
    return toldByError(machine.ask('fetching', 'x'));
  },
  refused: { code: 'unavailable', words: /no commit yet/ },
  logged: { none: 'who asked is told' },
  audit: ['agent.added'],
  stores: [...['agents', 'agent_endpoints', 'registrations', 'registry_heads', 'events', 'settings', 'nodes', 'agent_checkouts', 'unlisted_agents'].map((table) => ({ table, why: 'the agent that its user adds', most: 6 }))],
  holds: () => expect(existsSync(at('proof-fetch'))).toBe(false),
  shows: 'neither a scan, nor adding an agent, nor calling it has git fetch by a program that the repository names',
});

attack('a repository with hooks, filters, a monitor, a pager and aliases', {
  victim,
  arrange: () => {
    const repository = GitRepository.make(at('running'), { a: '1', '.gitattributes': '* filter=evil diff=evil\n' });
    manifest(repository.path, { name: 'running', command: ['cat'], isolate: true });
    runningAtEveryTurn(repository, at('proof-running'));
    writeFileSync(join(repository.path, '.git', 'HEAD'), 'ref: refs/heads/main\n');
    return Promise.resolve(repository.path);
  },
  act: async (directory) => {
    expect((await scan(directory)).projects).toMatchObject([{ state: 'new', name: 'running' }]);
    expect((await scan(dirname(directory))).projects.some(({ name }) => name === 'running')).toBe(true);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'looking is what was asked for' },
  holds: () => expect(existsSync(at('proof-running'))).toBe(false),
  shows: 'a scan runs nothing that a repository has set up',
});

attack('manifests that lead out of the project, wait, never end, or are no manifest', {
  victim,
  act: async () => {
    const make = (name: string): string => {
      mkdirSync(at('manifests', name, '.beckon'), { recursive: true });
      return join(at('manifests', name, '.beckon'), 'project.json');
    };
    writeFileSync(at('secret.json'), JSON.stringify({ command: ['cat'] }));
    symlinkSync(at('secret.json'), make('link'));
    symlinkSync('/dev/zero', make('device'));
    execFileSync('mkfifo', [make('pipe')]);
    mkdirSync(make('directory'));
    writeFileSync(make('huge'), '');
    truncateSync(make('huge'), 8 * 1024 ** 3);
    writeFileSync(make('deep'), '['.repeat(60_000));
    writeFileSync(make('bytes'), Buffer.from([0xff, 0xfe, 0x00]));
    writeFileSync(make('proto'), '{"__proto__":{"command":["cat"]},"command":["cat"],"constructor":1}');
    writeFileSync(make('escape'), JSON.stringify({ command: ['../../bin/sh'] }));
    writeFileSync(make('nul'), JSON.stringify({ command: ['cat', 'a\0b'] }));
    writeFileSync(make('drives'), JSON.stringify({ command: ['cat'], description: '\u001b]52;c;eA==\u0007' }));
    writeFileSync(make('turns'), JSON.stringify({ command: ['cat'], labels: { team: 'a\u202eb' } }));
    writeFileSync(make('name'), JSON.stringify({ name: '../../etc', command: ['cat'] }));
    writeFileSync(make('env'), JSON.stringify({ command: ['cat'], env: ['A=1\0LD_PRELOAD=x'] }));
    mkdirSync(at('elsewhere'));
    writeFileSync(at('elsewhere', 'project.json'), JSON.stringify({ command: ['cat'] }));
    mkdirSync(at('manifests', 'above'));
    symlinkSync(at('elsewhere'), at('manifests', 'above', '.beckon'));
    const told: Told[] = [];
    for (const name of readdirSync(at('manifests'))) told.push(await problemOf(at('manifests', name)));
    expect(told).toHaveLength(15);
    return told;
  },
  refused: { code: 'invalid' },
  logged: { none: 'who looks is told of each' },
  shows: 'each is named with what is wrong with it, and nothing of it is read beyond 64 KiB or outside of the project',
});

attack('a `.git` that is a pipe, a device, gigabytes, or leads to somebody else’s checkout', {
  victim,
  arrange: () => {
    const real = GitRepository.make(at('git', 'real'), { a: '1' });
    const make = (name: string): string => {
      mkdirSync(at('git', name));
      return at('git', name, '.git');
    };
    execFileSync('mkfifo', [make('pipe')]);
    symlinkSync('/dev/zero', make('device'));
    writeFileSync(make('large'), '');
    truncateSync(at('git', 'large', '.git'), 8 * 1024 ** 3);
    writeFileSync(make('leading'), `gitdir: ${join(real.path, '.git')}\n`);
    manifest(at('git', 'leading'), { command: ['./steal'] });
    return Promise.resolve();
  },
  act: async () => {
    const { projects, notes } = await scan(at('git'));
    expect([projects, notes.filter((note) => note.includes(at('git', 'leading')))]).toEqual([[], [expect.stringContaining('is a worktree of a git repository that is not there, or does not know of it')]]);
    for (const name of ['pipe', 'device', 'large']) await machine.person.addAgent(specOf({ name, workspace: 'w', cwd: at('git', name), isolate: true }));
    return toldByAll(['pipe', 'device', 'large'].map((name) => () => machine.ask(name, 'x')));
  },
  refused: { code: 'unavailable', words: /needs a git repository/ },
  logged: { none: 'who asked is told' },
  audit: ['agent.added'],
  stores: [...['agents', 'agent_endpoints', 'registrations', 'registry_heads', 'events', 'settings', 'nodes', 'unlisted_agents'].map((table) => ({ table, why: 'the agents that its user adds', most: 12 }))],
  shows: 'nothing is waited for, nothing is read without end, and no directory is taken for a checkout of another’s repository',
});

attack('names of files that lead elsewhere, or are options, control characters and each other', {
  victim,
  arrange: () => machine.add('lister', ['/bin/sh', '-c', 'cd "$BECKON_FILES" && ls -A1b && ls -A | wc -l && pwd']),
  act: async (address) => {
    const names = ['../../escaped', '/etc/passwd', '..', '.', 'a\0b', '-rf', '--help', '\u001b[2J', 'a\nb', 'x'.repeat(1000), 'A.txt', 'a.txt', 'C:\\windows\\x', '$(touch pwned)', '.bashrc'];
    const files = names.map((name) => ({ name, bytes: new Uint8Array([1]) }));
    const { state, output } = await machine.ask(address, '', { task: { text: new Uint8Array(), files } });
    const lines = output.trim().split('\n');
    expect([state, lines.at(-2)?.trim()]).toEqual(['completed', String(names.length)]);
    expect(lines.slice(0, -2).filter((line) => line.includes('/') || /[^\x20-\x7e]/.test(line))).toEqual([]);
    expect(lines.at(-1)).toMatch(/\/beckon-files-\w+$/);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'a name is a name' },
  stores: theCall('the call itself'),
  holds: () => expect([existsSync(at('escaped')), existsSync(at('pwned'))]).toEqual([false, false]),
  shows: 'each file is in the directory of its run, under a base name without control characters, and none stands for another',
});

attack('a task that is a command, an option, a variable or the end of a text', {
  victim,
  arrange: () => machine.add('argument', ['/bin/sh', '-c', 'printf "%s" "$1"; env | cut -d= -f1 | sort | tr "\\n" " " >&2', 'sh', '{task}']),
  act: async (address) => {
    const tasks = [`$(touch ${at('pwned')})`, `'; touch ${at('pwned')}; '`, `\`touch ${at('pwned')}\``, '--version', '-c', '${BECKON_TOKEN}', '{task}', '%s%n', 'LD_PRELOAD=/evil.so', '\u001b]0;title\u0007', '$IFS*'];
    for (const text of tasks) expect(await machine.ask(address, text)).toMatchObject({ state: 'completed', output: text });
    const told = ['a\0b', new Uint8Array([0xff]), 'x'.repeat(200_000)].map(async (text): Promise<Told> => {
      const { state, code, words } = await machine.ask(address, text);
      if (state !== 'failed' || code === undefined) throw new Error(`it was taken: ${state}`);
      return { code: code as Told['code'], words };
    });
    return Promise.all(told);
  },
  refused: { code: 'invalid', words: /argument/ },
  logged: { none: 'the flight says why' },
  stores: theCall('the calls themselves', 60),
  holds: () => expect(existsSync(at('pwned'))).toBe(false),
  shows: 'a task is one argument, byte for byte, or the flight ends `invalid`; no shell, no format and no variable sees it',
});

attack('an environment that a call is to bring along', {
  victim,
  arrange: async () => ({ ...(await machine.hold()), envs: await machine.add('envs', ['env', '-0']) }),
  act: async ({ environment, release, envs }) => {
    await release();
    const beckons = ['BECKON_DEPTH', 'BECKON_FLIGHT_ID', 'BECKON_HOME', 'BECKON_INVOCATION_ID', 'BECKON_ROOT_INVOCATION_ID', 'BECKON_RUN', 'BECKON_TARGET', 'BECKON_TOKEN'];
    const usual = /^(HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TMPDIR|SSH_AUTH_SOCK|GPG_AGENT_INFO|GNUPGHOME|PATH|PWD|OLDPWD|SHLVL|_|TRACEPARENT|TRACESTATE)$/;
    expect(Object.keys(environment).filter((name) => name !== '' && !usual.test(name)).toSorted()).toEqual(beckons);
    expect(Object.values(environment).filter((value) => /PRIVATE KEY|bkn1\./.test(value))).toEqual([]);
    // By a trace, which is all of a call that gets into an environment.
    const state = 'a=b\nc\0LD_PRELOAD=/evil.so';
    const good = { traceId: 'a'.repeat(32), parentId: 'b'.repeat(16), flags: 1 };
    for (const trace of [{ ...good, traceId: 'x\nLD_PRELOAD=/evil.so' }, { ...good, traceId: 'zz', parentId: 'zz' }, { ...good, traceId: '0'.repeat(32) }, good]) {
      const { output } = await machine.ask(envs, 'x', { trace: { ...trace, state } });
      // What is a trace arrives.
      expect(output.includes(good.traceId)).toBe(trace === good);
      expect(output.split('\0').map((each) => each.split('=')[0] ?? '').filter((name) => name !== '' && !usual.test(name)).toSorted()).toEqual(beckons);
      expect(output).not.toContain('evil');
    }
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'there is nothing to refuse' },
  stores: theCall('the calls themselves', 12),
  shows: 'an agent gets a closed list of variables of its node and the eight of its flight, and no caller adds one',
});

attack('flights that put a link to somebody’s files, or another repository, in the place of their worktree', {
  victim,
  arrange: async () => {
    const repository = GitRepository.make(at('isolated'), { a: '1' });
    const precious = GitRepository.make(at('precious'), { kept: 'precious' });
    const add = (name: string, script: string): Promise<string> => machine.add(name, ['/bin/sh', '-c', script], { isolate: true, cwd: repository.path });
    const agents = [
      await add('linking', `w=$PWD; cd ..; mv "$w" "$w.aside"; ln -s ${precious.path} "$w"`),
      await add('claiming', `echo "gitdir: ${join(precious.path, '.git')}" > .git; echo more > more`),
      await add('nesting', `ln -s ${precious.path} inside; mkdir nested; cp -r ${precious.path}/. nested; echo "gitdir: ${join(precious.path, '.git')}" > nested/.git-other`),
      await add('moving', `entry=$(git rev-parse --absolute-git-dir); echo ${join(precious.path, '.git')} > "$entry/gitdir"; echo more > more`),
    ];
    const flights: string[] = [];
    for (const address of agents) {
      const { flightId, state } = await machine.ask(address, '');
      expect(state).toBe('completed');
      flights.push(flightId);
    }
    return { precious, flights };
  },
  act: async ({ flights }) => {
    for (const id of flights) {
      await all(machine.person.readDiff(id)).catch((error: unknown) => error);
      await machine.person.settleWorktree({ id, verb: 'discarded' }).catch((error: unknown) => error);
    }
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'its person has it discarded' },
  besides: /worktree/,
  stores: [...theCall('what became of them', 40), ...['flight_worktrees', 'worktrees', 'settings'].map((table) => ({ table, most: 40, why: 'what became of them' }))],
  holds: ({ precious }) => {
    expect([precious.read('kept'), precious.status, precious.branches, precious.git('log', '--oneline').split('\n').length]).toEqual(['precious', [], ['main'], 1]);
  },
  shows: 'taking a worktree away takes what git made for the flight, and nothing that something there leads to',
  timeoutMs: 60_000,
});
