import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { maxOutputChunk } from '../../src/domain/flight-event.ts';
import { agentIdOf } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import { CommandHarness } from '../../src/harness/command.ts';
import { processTable } from '../../src/harness/process-table.ts';
import { createHarnesses } from '../../src/harness/registry.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { Collected, harnessContract, deafSink, requestOf, type RequestOptions } from './harness.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-harness-')));
const temporary = join(root, 'tmp');
await mkdir(temporary);
afterAll(() => rm(root, { recursive: true, force: true }));

// The only environment that agents can get anything from.
const environment = { TMPDIR: temporary, HOME: root, LANG: 'C.UTF-8', SECRET: 'of the node' };
const systemPath = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
const harness = createHarnesses({ clock: createSystemClock(), environment }).get('command');
if (harness === undefined) throw new Error('there is a harness named command');

function agent(...argv: string[]): Endpoint {
  return {
    agentId: agentIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'),
    address: '@agent@laptop#main',
    harness: 'command',
    cwd: root,
    argv,
    env: [],
    path: systemPath,
    permissions: 'ask',
    isolate: false,
  };
}
const shell = (script: string, ...args: string[]): Endpoint => agent('sh', '-c', script, 'agent', ...args);
const node = (script: string): Endpoint => agent(process.execPath, '-e', script);

async function outcome(endpoint: Endpoint, options: RequestOptions = {}) {
  const sink = new Collected();
  const end = await harness!.start(requestOf(endpoint, options), sink).ended;
  return { end, sink, stdout: sink.text(), stderr: sink.text('stderr') };
}

harnessContract('command', harness, {
  echo: agent('cat'),
  lineThenIdle: shell('cat; echo; exec sleep 1000'),
  large: node('process.stdout.write("aé€😀".repeat(300_001))'),
  // One child as usual, one in a group of its own, one in a session of its own.
  family: node(`
    const { spawn } = require('node:child_process');
    const plain = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const apart = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true });
    const shell = spawn('bash', ['-mc', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
    shell.stdout.on('data', (pid) => console.log(process.pid, plain.pid, apart.pid, Number(pid)));
  `),
  flightId: shell('echo $BECKON_FLIGHT_ID'),
  missing: agent('fooo'),
});

describe('how a command ends', () => {
  test('its exit code is reported as it is', async () => {
    expect((await outcome(shell('exit 7'))).end).toEqual({ exitCode: 7 });
  });

  test('death by a signal is reported by the signal’s name', async () => {
    expect((await outcome(shell('kill -9 $$'))).end).toEqual({ signal: 'SIGKILL' });
  });

  test('what it printed last is not lost when it fails', async () => {
    const { stdout, stderr } = await outcome(shell('echo out; echo err >&2; exit 1'));
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
  });

  test('stopped before its process was made, it never runs', async () => {
    const run = harness.start(requestOf(shell('touch ran')), new Collected());
    expect(await run.stop(5000)).toBe(0);
    expect(await run.ended).toMatchObject({ error: { code: 'cancelled' } });
    expect(await readdir(root)).not.toContain('ran');
  });

  test('TERM comes first, KILL when the grace is over', async () => {
    const clock = new FakeClock();
    const sink = new Collected();
    const run = new CommandHarness({ clock, environment, readProcesses: processTable(process.platform) }).start(
      requestOf(shell('trap "echo got TERM" TERM; echo ready; while :; do sleep 0.02; done')),
      sink,
    );
    await waitFor('the agent to be ready', () => sink.text().includes('ready'));
    let ended: number | undefined;
    const stopping = run.stop(5000).then((count) => {
      ended = count;
    });
    await waitFor('the agent to get its TERM', () => sink.text().includes('got TERM'));
    await clock.advance(4900);
    expect(ended).toBeUndefined();
    await waitFor('the agent to be gone', async () => {
      await clock.advance(100);
      return ended;
    });
    await stopping;
    expect(ended).toBeGreaterThanOrEqual(1);
    expect(await run.ended).toEqual({ signal: 'SIGKILL' });
  });
});

describe('what a command leaves behind', () => {
  test('a child that holds no stream ends with the agent, at once', async () => {
    // On a clock that stands still: nothing waits for time to pass.
    const clock = new FakeClock();
    const sink = new Collected();
    const run = new CommandHarness({ clock, environment, readProcesses: processTable(process.platform) }).start(requestOf(shell('sleep 1000 >/dev/null 2>&1 & echo $!')), sink);
    let isOver = false;
    void run.ended.then(() => {
      isOver = true;
    });
    const pid = Number(await waitFor('the pid', () => sink.text().trim()));
    await waitFor('the run to end', async () => {
      if (!isRunning(pid)) await clock.advance(100);
      return isOver;
    });
    expect(await run.ended).toEqual({ exitCode: 0 });
    expect(isRunning(pid)).toBe(false);
    expect(clock.monotonic()).toBeLessThan(2000);
  });

  test('a child that holds a stream may print for 2 s, then it ends and the run too', async () => {
    const clock = new FakeClock();
    const sink = new Collected();
    const run = new CommandHarness({ clock, environment, readProcesses: processTable(process.platform) }).start(requestOf(shell('(while sleep 0.05; do echo still; done) & echo $!; exit 3')), sink);
    let isOver = false;
    void run.ended.then(() => {
      isOver = true;
    });
    const pid = Number(await waitFor('the pid', () => /^\d+/.exec(sink.text())?.[0]));
    await waitFor('output after the exit', () => sink.text().includes('still\nstill\n'));
    await clock.advance(1900);
    expect(isRunning(pid)).toBe(true);
    await waitFor('the run to end', async () => {
      await clock.advance(100);
      return isOver;
    });
    expect(await run.ended).toEqual({ exitCode: 3 });
    expect(isRunning(pid)).toBe(false);
  });
});

describe('what a command gets', () => {
  test('a task of 0 bytes is an empty stdin', async () => {
    expect(await outcome(shell('wc -c | tr -d " "'))).toMatchObject({ end: { exitCode: 0 }, stdout: '0\n' });
  });

  test('a task of 16 MiB arrives whole', async () => {
    const task = Buffer.alloc(16 * 1024 * 1024, 'every byte counts\0\xff', 'latin1');
    const { stdout } = await outcome(node('const h=require("node:crypto").createHash("sha256");process.stdin.on("data",d=>h.update(d)).on("end",()=>console.log(h.digest("hex")))'), { task });
    expect(stdout.trim()).toBe(createHash('sha256').update(task).digest('hex'));
  });

  test('an agent that does not read its task, or closes stdin, is not at fault', async () => {
    expect(await outcome(shell('exec <&-; echo fine'), { task: Buffer.alloc(5_000_000) })).toMatchObject({ end: { exitCode: 0 }, stdout: 'fine\n' });
  });

  test('the names /dev/stdin, /dev/stdout and /dev/stderr work in its scripts', async () => {
    expect(await outcome(shell('cat /dev/stdin; echo o > /dev/stdout; echo e > /dev/stderr'), { task: 'task ' })).toMatchObject({ end: { exitCode: 0 }, stdout: 'task o\n', stderr: 'e\n' });
  });

  test('{task} is one argument, never read by a shell, and stdin is empty', async () => {
    const task = '$(touch pwned) ; "\' `id` *';
    expect(await outcome(shell('printf "%s|" "$@"; wc -c | tr -d " "', 'a', '{task}'), { task })).toMatchObject({ end: { exitCode: 0 }, stdout: `a|${task}|0\n` });
    expect(await readdir(root)).not.toContain('pwned');
  });

  test('a {task} over the system’s limit is told to come on stdin', async () => {
    const { end } = await outcome(shell('true', '{task}'), { task: Buffer.alloc(131_072, 'x') });
    expect(end).toMatchObject({ error: { code: 'invalid', hint: expect.stringContaining('stdin') } });
    expect((await outcome(shell('printf %s "$1" | wc -c | tr -d " "', '{task}'), { task: Buffer.alloc(131_071, 'x') })).stdout).toBe('131071\n');
  });

  test('arguments that are too long together are told so too', async () => {
    const many = Array.from({ length: 100 }, () => '{task}');
    expect((await outcome(shell('true', ...many), { task: Buffer.alloc(100_000, 'x') })).end).toMatchObject({ error: { code: 'invalid', hint: expect.stringContaining('stdin') } });
  });

  test('its directory, its small environment, and no more', async () => {
    const endpoint = { ...agent('env'), env: ['EXTRA=1', 'LANG'] };
    const { stdout } = await outcome(endpoint, { flightEnv: { BECKON_FLIGHT_ID: 'flt_x' } });
    expect(stdout.trim().split('\n').toSorted()).toEqual(['BECKON_FLIGHT_ID=flt_x', 'EXTRA=1', `HOME=${root}`, 'LANG=C.UTF-8', `PATH=${systemPath}`, `TMPDIR=${temporary}`]);
    expect((await outcome(shell('pwd -P'))).stdout).toBe(`${root}\n`);
  });

  test('its files, in a directory that is gone afterwards', async () => {
    const files = [{ name: '../../evil', bytes: Buffer.from('1') }, { name: 'évil', bytes: Buffer.from('2') }];
    const { stdout } = await outcome(shell('cd "$BECKON_FILES" && pwd -P && for f in *; do echo "$f=$(cat "$f")"; done'), { files });
    const [directory, ...names] = stdout.trim().split('\n');
    expect(directory).toMatch(new RegExp(`^${temporary}/beckon-files-`));
    expect(names).toEqual(['evil=1', 'évil=2']);
    expect(await readdir(temporary)).toEqual([]);
  });
});

describe('what a command prints', () => {
  test('50 MB of any bytes arrive unchanged', async () => {
    const hash = createHash('sha256');
    let bytes = 0;
    const source = 'let s=1;const b=Buffer.alloc(1e6);let n=0;(function f(){for(;n<50;n++){for(let i=0;i<b.length;i+=4){s=(s*1103515245+12345)>>>0;b.writeUInt32LE(s,i)}if(!process.stdout.write(Buffer.from(b))){n++;process.stdout.once("drain",f);return}}})()';
    const expected = createHash('sha256');
    const block = Buffer.alloc(1_000_000);
    for (let round = 0, seed = 1; round < 50; round += 1) {
      for (let at = 0; at < block.length; at += 4) {
        seed = (seed * 1103515245 + 12345) >>> 0;
        block.writeUInt32LE(seed, at);
      }
      expected.update(block);
    }
    const run = harness.start(requestOf(node(source)), {
      output: async (_stream, piece) => {
        bytes += piece.length;
        hash.update(piece);
      },
      ...deafSink,
    });
    expect(await run.ended).toEqual({ exitCode: 0 });
    expect(bytes).toBe(50_000_000);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });

  test('200 MB into a slow sink take no more memory than a few pieces', async () => {
    let bytes = 0;
    let waiting = 0;
    let mostWaiting = 0;
    let mostMemory = 0;
    // One piece after the other, however many are offered: what is not taken back-pressure of piles up here.
    let last: Promise<void> = Promise.resolve();
    const take = async (piece: Uint8Array): Promise<void> => {
      await nextTurn();
      bytes += piece.length;
      waiting -= piece.length;
      mostMemory = Math.max(mostMemory, process.memoryUsage().arrayBuffers);
    };
    const before = process.memoryUsage().arrayBuffers;
    const run = harness.start(requestOf(shell('head -c 200000000 /dev/zero')), {
      ...deafSink,
      output: (_stream, piece) => {
        waiting += piece.length;
        mostWaiting = Math.max(mostWaiting, waiting);
        last = last.then(() => take(piece));
        return last;
      },
    });
    expect(await run.ended).toEqual({ exitCode: 0 });
    expect(bytes).toBe(200_000_000);
    expect(mostWaiting).toBeLessThanOrEqual(maxOutputChunk);
    // Garbage counts too until it is collected.
    expect(mostMemory - before).toBeLessThan(100_000_000);
  });

  test('each stream keeps its own order while both are busy', async () => {
    const { stdout, stderr } = await outcome(shell('i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done'));
    const numbers = Array.from({ length: 2000 }, (_, index) => index);
    expect(stdout).toBe(numbers.map((number) => `o${number}\n`).join(''));
    expect(stderr).toBe(numbers.map((number) => `e${number}\n`).join(''));
  });
});

describe('a command that can’t run', () => {
  const script = async (name: string, text: string, mode = 0o755): Promise<string> => {
    const file = join(root, name);
    await writeFile(file, text);
    await chmod(file, mode);
    return file;
  };

  test('is named with where it was looked for', async () => {
    expect(await harness.check(agent('fooo'))).toEqual({ available: false, why: 'no such command: "fooo" (looked in PATH as it was when the agent was added)' });
  });

  test('without the right to be executed says so, before and at the start', async () => {
    const file = await script('plain', 'text', 0o644);
    expect(await harness.check(agent(file))).toMatchObject({ available: false, why: expect.stringContaining('not an executable file') });
    expect((await outcome(agent('./plain'))).end).toMatchObject({ error: { code: 'unavailable', hint: `chmod +x ${file}` } });
    expect((await harness.check({ ...agent('plain'), path: root })).why).toContain('not an executable file');
  });

  test('whose interpreter is missing says so', async () => {
    await script('orphan', '#!/no/such/interpreter\n');
    expect((await outcome(agent('./orphan'))).end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('interpreter') } });
  });

  test('in a directory that is gone, or is none, says so', async () => {
    for (const cwd of [join(root, 'gone'), join(await script('afile', ''))]) {
      expect(await harness.check({ ...agent('cat'), cwd })).toMatchObject({ available: false, why: expect.stringContaining(cwd) });
      expect((await outcome({ ...agent('cat'), cwd })).end).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining(cwd) } });
    }
  });

  test('leaves nothing in the temporary directory, and later runs are as good as ever', async () => {
    expect(await outcome(agent('echo', 'ok'))).toMatchObject({ end: { exitCode: 0 }, stdout: 'ok\n' });
    expect(await readdir(temporary)).toEqual([]);
  });

  test('for want of a directory for its task says so', async () => {
    const [lost] = createHarnesses({ clock: createSystemClock(), environment: { TMPDIR: join(root, 'none') } }).values();
    expect(await lost?.start(requestOf(agent('cat'), { task: 'x' }), new Collected()).ended).toMatchObject({ error: { code: 'unavailable', message: expect.stringContaining('ENOENT') } });
    const sink = new Collected();
    expect(await lost?.start(requestOf(agent('echo', 'by sockets')), sink).ended).toEqual({ exitCode: 0 });
    expect(sink.text()).toBe('by sockets\n');
  });
});
