/** What the judge of attacks is told of a real process: seen to be other when the process is. Here it is one that stands in for a node. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { killAll, processesOf } from '../support/belongings.ts';
import { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { watched } from '../support/watched-node.ts';

const grownMb = 96;
/** Says when it has had that much memory at once, given back since; or that another process runs for it. */
const standIn = `
  process.stdin.setEncoding('utf8');
  process.stdout.write('up');
  process.stdin.on('data', (word) => {
    if (word === 'grow') Buffer.alloc(${grownMb} * 1024 * 1024, 1);
    if (word === 'leave') require('node:child_process').spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref();
    process.stdout.write(word);
  });
`;
let node: TestNode;
let running: ChildProcess;

beforeEach(async () => {
  node = new TestNode({ name: 'victim', home: mkdtempSync(join(tmpdir(), 'bkn-watched-')), listen: '127.0.0.1:1' });
  mkdirSync(join(node.home, 'logs'));
  writeFileSync(join(node.home, 'logs', 'node.log'), logged('info', 'it is up'));
  running = await started();
});
afterEach(async () => {
  killAll(processesOf(node.home));
  await waitFor('all to be gone', () => processesOf(node.home).length === 0);
  rmSync(node.home, { recursive: true, force: true });
});

const logged = (level: string, msg: string): string => `${JSON.stringify({ level, msg })}\n`;

async function started(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', standIn, 'src/main.ts', 'up'], { cwd: node.home, stdio: ['pipe', 'pipe', 'inherit'] });
  await answers(child);
  return child;
}

async function tells(word: string): Promise<void> {
  running.stdin?.write(word);
  await answers(running);
}

function answers(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.stdout?.once('data', () => resolve()));
}

test.skipIf(process.platform !== 'linux')('what a process had at once is seen, given back or not, and what it had before is not', async () => {
  const { memorySince } = watched(node);
  const grewMb = memorySince(running.pid ?? 0);
  expect(grewMb()).toBeLessThan(grownMb / 2);
  await tells('grow');
  expect(grewMb()).toBeGreaterThan(grownMb / 2);
  expect(memorySince(running.pid ?? 0)()).toBeLessThan(grownMb / 2);
});

test('a process that is started anew is another', async () => {
  const { pid } = watched(node);
  expect(pid()).toBe(running.pid);
  running.kill('SIGKILL');
  await waitFor('it to be gone', () => pid() === undefined);
  const before = running.pid;
  running = await started();
  expect(pid()).toBe(running.pid);
  expect(running.pid).not.toBe(before);
});

test.skipIf(process.platform !== 'linux')('what it leaves running is seen, in whatever session and group that is', async () => {
  const { processes } = watched(node);
  const before = processes();
  await tells('leave');
  expect(processes().filter((each) => !before.includes(each))).toEqual([expect.stringMatching(/^\d+ sleep 60/)]);
});

test('of its log the lines since then are seen, but for those of debugging, and a log that was put aside is an error', () => {
  const lines = watched(node).logSince();
  expect(lines()).toEqual([]);
  appendFileSync(join(node.home, 'logs', 'node.log'), logged('debug', 'a detail') + logged('warn', 'it was refused'));
  expect(lines()).toEqual([{ level: 'warn', msg: 'it was refused', text: logged('warn', 'it was refused').trim() }]);
  truncateSync(join(node.home, 'logs', 'node.log'), 3);
  expect(lines).toThrow(/put aside/);
});

test('a counter is what the node tells, and one that it does not tell is none', async () => {
  await expect(watched(node).counter('beckon_refused_total')).rejects.toThrow(/no such file/);
  const server = createServer((_request, response) => void response.end('beckon_refused_total{limit="a"} 7\nbeckon_refused_total{limit="ab"} 9\n'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    writeFileSync(join(node.home, 'config.toml'), `metrics_listen = "127.0.0.1:${(server.address() as AddressInfo).port}"\n`);
    await expect(watched(node).counter('beckon_refused_total{limit="a"}')).resolves.toBe(7);
    await expect(watched(node).counter('beckon_refused_total{limit="b"}')).resolves.toBe(0);
  } finally {
    server.close();
  }
});
