/** Whatever is asked, and whatever an agent does: one clear answer with the pinned exit code, and the node goes on. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { rowCounts, settledRowCounts } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { noTerminal } from '../support/terminal.ts';
import { waitFor } from '../support/wait-for.ts';

const mib = 1024 * 1024;
const escapes = 'a\x1b[31mred\x1b]0;title\x07b\x1bc\x9b2J';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  const { program, directory } = { program: cluster.program.bind(cluster), directory: cluster.directory };
  await desktop.addAgent('digest', ['/usr/bin/sha256sum']);
  await desktop.addAgent('count', ['/usr/bin/wc', '-c']);
  await desktop.addAgent('flood', [program('flood', `exec head -c ${50 * mib} '${directory}/flood-bytes'`)]);
  await desktop.addAgent('latin', [program('latin', "printf 'caf\\351\\n'")]);
  await desktop.addAgent('colour', [program('colour', `printf '${Array.from(Buffer.from(escapes, 'latin1'), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}'`)]);
  await desktop.addAgent('seven', [program('seven', "echo partly; echo sorry >&2; exit 7")]);
  await desktop.addAgent('killed', [program('killed', 'echo partly; kill -KILL $$')]);
  await desktop.addAgent('runs', [program('runs', `cat >> '${directory}/keyed-runs'; echo done`)]);
  await desktop.addAgent('twin', ['/bin/cat'], []);
  await laptop.json(['agent', 'add', 'twin', '--workspace', 'one', '--', '/bin/cat']);
  await laptop.json(['agent', 'add', 'twin', '--workspace', 'two', '--', '/bin/cat']);
  // Not compressible, not text.
  execFileSync('sh', ['-c', `head -c ${50 * mib} /dev/urandom > '${directory}/flood-bytes'`]);
  await waitFor('the agents at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 11);
}, 60_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

let pids: readonly (number | undefined)[] = [];
beforeAll(() => void (pids = [laptop.pid, desktop.pid]));
/** The node goes on: the same processes, and they answer. */
afterEach(async () => {
  const now = [laptop.pid, desktop.pid];
  if (now.join() !== pids.join()) throw new Error(`a node ended: ${pids.join()} became ${now.join()}`);
  await laptop.json(['status']);
});

describe('an address', () => {
  test('that nobody has is not found, with the nearest that exist', async () => {
    const { code, events } = await laptop.invoke(['digst@desktop', 'x']);
    expect(code).toBe(3);
    expect(events).toHaveLength(1);
    const { error } = events[0] as { error: Json };
    expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining('digst') });
    expect((error['candidates'] as Json[]).map(({ address }) => String(address))).toContain('@digest@desktop#main');
  });

  test('that several have is ambiguous, with the candidates', async () => {
    const { code, events } = await desktop.invoke(['twin@laptop', 'x']);
    expect(code).toBe(3);
    const { error } = events[0] as { error: Json };
    expect(error['code']).toBe('ambiguous');
    expect((error['candidates'] as Json[]).map(({ address }) => String(address)).toSorted()).toEqual(['@twin@laptop#one', '@twin@laptop#two']);
    const human = await desktop.beckon(['invoke', 'twin@laptop', 'x']);
    expect(human).toMatchObject({ code: 3, text: '' });
    expect(human.stderr).toMatch(/@twin@laptop#one/);
  });

  test.each([
    ['fab ric', 4],
    ['@-fabric', 2],
    ['@fabric@lap_top!', 16],
    ['@fabric@laptop#feature x', 23],
    ['@@x', 2],
    ['', 1],
  ])('that is malformed, as %j, is refused with the column', async (address, column) => {
    const { code, events } = await laptop.invoke([address, 'x']);
    expect(code).toBe(2);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'invalid', message: expect.stringMatching(new RegExp(`column ${column}\\b`)) } }]);
  });

  test('of . is the instance of the project in this directory', async () => {
    const project = cluster.path('weaver');
    mkdirSync(project);
    const git = (...args: string[]): void => void execFileSync('git', args, { cwd: project, stdio: 'pipe' });
    git('init', '--quiet', '--initial-branch=feature/dot');
    git('-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', 'commit', '--quiet', '--allow-empty', '--message=begin');
    expect((await laptop.invoke(['.', 'x'], { cwd: project })).code).toBe(3);
    await laptop.json(['agent', 'add', '--', '/bin/cat'], { cwd: project });
    const { code, events } = await laptop.invoke(['.', 'from here'], { cwd: project });
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ type: 'accepted', target: '@weaver@laptop#feature/dot' });
    expect(events.at(-1)).toMatchObject({ state: 'completed', output: 'from here' });
  });

  test('nothing of a refused address is stored', async () => {
    const [before] = await settledRowCounts(laptop.databasePath);
    for (const address of ['nobody', 'twin@laptop', 'a b']) await laptop.invoke([address, 'x']);
    expect(rowCounts(laptop.databasePath)).toEqual(before);
  });
});

describe('a task', () => {
  test.each([
    ['of 0 bytes given as an argument', ['count@desktop', ''], ''],
    ['of 0 bytes on stdin', ['count@desktop'], ''],
  ])('%s reaches the agent', async (_what, args, stdin) => {
    const { code, last } = await laptop.invoke(args, { stdin });
    expect({ code, output: String(last['output']).trim() }).toEqual({ code: 0, output: '0' });
  });

  test('of 5 MB reaches the agent of another node byte by byte', async () => {
    const task = readFileSync(cluster.path('flood-bytes')).subarray(0, 5_000_000);
    const { code, text } = await laptop.beckon(['invoke', 'digest@desktop'], { stdin: task });
    expect({ code, digest: text.slice(0, 64) }).toEqual({ code: 0, digest: createHash('sha256').update(task).digest('hex') });
  });

  test('of 16 MiB is taken, of one byte more is refused', async () => {
    const most = Buffer.alloc(16 * mib, 'x');
    const taken = await laptop.invoke(['count@desktop'], { stdin: most });
    expect({ code: taken.code, output: String(taken.last['output']).trim() }).toEqual({ code: 0, output: String(16 * mib) });
    const { code, events } = await laptop.invoke(['count@desktop'], { stdin: Buffer.concat([most, Buffer.from('y')]) });
    expect(code).toBe(2);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'invalid' } }]);
  });

  test('of several words is a usage error that shows the quoted form', async () => {
    const { code, stderr } = await laptop.beckon(['invoke', 'count@desktop', 'run', 'the', 'tests']);
    expect(code).toBe(2);
    expect(stderr).toContain('"run the tests"');
  });
});

describe('an output', () => {
  test('of 50 MB comes whole from another node, is kept whole, and its start is in the last event', async () => {
    const digest = createHash('sha256').update(readFileSync(cluster.path('flood-bytes'))).digest('hex');
    const { code, stdout, stderr } = await laptop.beckon(['invoke', 'flood@desktop', ''], { timeoutMs: 60_000 });
    expect({ code, size: stdout.length, stderr: /error/i.test(stderr) }).toEqual({ code: 0, size: 50 * mib, stderr: false });
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(digest);
    const { flights } = await laptop.json(['flights', '--limit', '1']);
    const id = String((flights as Json[])[0]?.['id']);
    const kept = await laptop.beckon(['flight', 'output', id]);
    expect(createHash('sha256').update(kept.stdout).digest('hex')).toBe(digest);
    const { flight } = await laptop.json(['flight', 'show', id]);
    expect(flight).toMatchObject({ state: 'completed', truncated: true });
  });

  test('that is not UTF-8 is base64 in JSON, and verbatim on a pipe', async () => {
    const bytes = Buffer.from('caf\xe9\n', 'latin1');
    const { code, events } = await laptop.invoke(['latin@desktop', '']);
    expect(code).toBe(0);
    const outputs = events.filter(({ type }) => type === 'output');
    expect(Buffer.concat(outputs.map((each) => Buffer.from(String(each['base64']), 'base64')))).toEqual(bytes);
    expect(outputs.every((each) => !('text' in each))).toBe(true);
    expect((await laptop.beckon(['invoke', 'latin@desktop', ''])).stdout).toEqual(bytes);
  });

  test('with control sequences is verbatim on a pipe', async () => {
    expect((await laptop.beckon(['invoke', 'colour@desktop', ''])).stdout.toString('latin1')).toBe(escapes);
  });

  test.skipIf(noTerminal !== undefined)(`with control sequences is made harmless on a terminal, unless --raw${because(noTerminal)}`, async () => {
    const env = { NO_COLOR: '1' };
    const shown = await laptop.beckon(['invoke', 'colour@desktop', '-q', ''], { terminal: true, env });
    expect(shown.code).toBe(0);
    // No byte below space but line ends, none of C1: neither alone nor as UTF-8.
    expect(shown.stdout.toString()).not.toMatch(/[^\P{Cc}\r\n]/u);
    expect(shown.text).toContain('red');
    const raw = await laptop.beckon(['invoke', 'colour@desktop', '-q', '--raw', ''], { terminal: true, env });
    expect(raw.stdout.toString('latin1')).toContain(escapes);
  });
});

describe('an agent', () => {
  test('whose command does not exist is added with a warning, is not available, and its invocation exits 4', async () => {
    const added = await desktop.beckon(['agent', 'add', 'ghost', '--workspace', 'main', '--', 'no-such-command-anywhere']);
    expect(added.code).toBe(0);
    expect(added.stderr).toMatch(/no-such-command-anywhere/);
    const ghost = await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).find(({ address }) => address === '@ghost@desktop#main'));
    expect(ghost['available']).toBe(false);
    // Its own node says which; the whole mesh is told no command line.
    for (const [node, why] of [[laptop, /no such command: …/], [desktop, /no-such-command-anywhere/]] as const) {
      const { code, events } = await node.invoke(['@ghost@desktop#main', 'boo']);
      expect(code).toBe(4);
      expect(events).toMatchObject([{ type: 'error', error: { code: 'unavailable', message: expect.stringMatching(why) } }]);
    }
  });

  test('that exits with 7 has failed: exit 1, with its exit code and what it said', async () => {
    const { code, last, events } = await laptop.invoke(['seven@desktop', '']);
    expect(code).toBe(1);
    expect(last).toMatchObject({ type: 'finished', state: 'failed', exitCode: 7, output: 'partly\n' });
    expect(events.filter(({ stream }) => stream === 'stderr').map(({ text }) => String(text)).join('')).toBe('sorry\n');
    const human = await laptop.beckon(['invoke', 'seven@desktop', '']);
    expect(human).toMatchObject({ code: 1, text: 'partly\n' });
    expect(human.stderr).toMatch(/sorry\n[^]*\b7\b/);
  });

  test('that dies of a signal has failed: exit 1, naming the signal', async () => {
    const { code, last } = await laptop.invoke(['killed@desktop', '']);
    expect(code).toBe(1);
    expect(last).toMatchObject({ type: 'finished', state: 'failed', output: 'partly\n' });
    expect(last).not.toHaveProperty('exitCode');
    expect(JSON.stringify(last)).toContain('SIGKILL');
  });
});

describe('an idempotency key', () => {
  test('given twice with the same request is one invocation, run once; the second caller follows the first', async () => {
    const first = await laptop.invoke(['runs@desktop', 'keyed\n', '--key', 'k1']);
    const again = await laptop.invoke(['runs@desktop', 'keyed\n', '--key', 'k1', '--hold', '1h', '-q']);
    expect([first.code, again.code]).toEqual([0, 0]);
    expect(first.events[0]).toMatchObject({ type: 'accepted', deduplicated: false });
    expect(again.events[0]).toMatchObject({ type: 'accepted', deduplicated: true, invocationId: first.events[0]?.['invocationId'] as unknown });
    expect(again.last).toMatchObject({ state: 'completed', output: 'done\n' });
    expect(readFileSync(cluster.path('keyed-runs'), 'utf8')).toBe('keyed\n');
  });

  test.each([
    ['another task', ['runs@desktop', 'other\n']],
    ['the address typed in another way', ['@runs@desktop#main', 'keyed\n']],
    ['another session', ['runs@desktop', 'keyed\n', '--session', 's1']],
  ])('given with %s is a conflict, and nothing is run', async (_what, args) => {
    const { code, events } = await laptop.invoke([...args, '--key', 'k1']);
    expect(code).toBe(6);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'conflict' } }]);
    expect(readFileSync(cluster.path('keyed-runs'), 'utf8')).toBe('keyed\n');
  });
});
