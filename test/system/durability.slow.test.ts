/** That an answer waits for the disk can't be seen by killing a process: the kernel has what it wrote. It is traced. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { because, missing } from '../support/programs.ts';
import { judgeDurability, noTracing, parseTrace, readTrace, tracing } from '../support/trace-syscalls.ts';
import type { Syscall } from '../support/trace-syscalls.ts';
import { waitFor } from '../support/wait-for.ts';

/** libeatmydata makes every sync a no-op: what the tests must catch. */
const syncEater = findLibrary('libeatmydata.so');
const noSyncEater = noTracing ?? missing('eatmydata') ?? (syncEater === undefined ? 'libeatmydata.so not on this machine' : undefined);
const syncDelayMs = 150;

let cluster: Cluster;
let traceFile: string;
beforeEach(async () => {
  cluster = await Cluster.create();
  traceFile = cluster.path('syscalls.trace');
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

/** A node alone, traced, that accepts one invocation; ended, so that the trace is whole. */
async function acceptTraced(how: Parameters<typeof tracing>[1]): Promise<{ readonly calls: readonly Syscall[]; readonly id: string }> {
  const node = await cluster.node('laptop');
  await node.up({ through: tracing(traceFile, how) });
  await node.addAgent('echo', ['/bin/cat']);
  const { code, text } = await node.beckon(['invoke', '@echo@laptop#main', 'hello', '--detach', '-q']);
  expect(code).toBe(0);
  const id = text.trim();
  expect((await node.beckon(['flight', 'wait', id])).code).toBe(0);
  await node.down();
  return { calls: readTrace(traceFile), id };
}

describe.skipIf(noTracing !== undefined)(`an acceptance${because(noTracing)}`, () => {
  test('leaves on the control socket only after the sync of its commit has returned', async () => {
    // A slow disk, so that what did not wait for it would be seen.
    const { calls, id } = await acceptTraced({ delaySyncsMs: syncDelayMs });
    const { logged, synced, told, violation } = judgeDurability(calls, id);
    expect(violation).toBeUndefined();
    expect([logged?.descriptor, synced?.descriptor]).toEqual([expect.stringContaining('beckon.db-wal'), expect.stringContaining('beckon.db-wal')]);
    expect(told, 'the id is seen on the control socket').toBeDefined();
    expect((told?.beginsAt ?? 0) - (logged?.beginsAt ?? 0)).toBeGreaterThan(syncDelayMs / 1000);
  });

  test.skipIf(noSyncEater !== undefined)(`is caught by the same check when the sync is taken out${because(noSyncEater)}`, async () => {
    const { calls, id } = await acceptTraced({ preload: syncEater ?? '' });
    const { logged, told, violation } = judgeDurability(calls, id);
    expect([logged, told]).not.toContain(undefined);
    expect(violation).toBe('the log was never synced after the id was written to it');
  });
});

/** An owner, traced, that receives one invocation from another node. */
async function receiveTraced(how: Parameters<typeof tracing>[1]): Promise<{ readonly calls: readonly Syscall[]; readonly id: string; readonly receivedAt: number }> {
  const laptop = await cluster.node('laptop');
  const desktop = await cluster.node('desktop');
  await cluster.join([laptop, desktop]);
  await desktop.addAgent('echo', ['/bin/cat']);
  await desktop.down();
  await desktop.up({ through: tracing(traceFile, how) });
  await laptop.peer('desktop', 'alive');
  await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 1);
  const { code, events } = await laptop.invoke(['echo@desktop', 'hello']);
  expect(code).toBe(0);
  const id = String(events[0]?.['invocationId']);
  // By the origin's clock, which is that of the trace: one machine.
  const { receipts } = await laptop.json(['flight', 'show', id]);
  const receivedAt = await originLearnt(laptop, id);
  expect(receipts).toMatchObject({ received: { at: expect.any(String) } });
  await desktop.down();
  return { calls: readTrace(traceFile), id, receivedAt };
}

/** When the origin wrote down the owner's receipt, epoch seconds. */
async function originLearnt(origin: TestNode, id: string): Promise<number> {
  const { entries } = await origin.json(['trace', id]);
  const receipt = (entries as Json[]).find(({ node, what }) => node === origin.name && /received|receipt/.test(String(what)));
  if (receipt === undefined) throw new Error(`no receipt in the trace: ${JSON.stringify(entries)}`);
  return Date.parse(String(receipt['at'])) / 1000;
}

describe.skipIf(noTracing !== undefined)(`an owner's receipt${because(noTracing)}`, () => {
  // TLS hides the bytes, so what counts is when the origin has it: the slow disk makes the order plain.
  test('reaches the origin only after the sync of its commit has returned', async () => {
    const { calls, id, receivedAt } = await receiveTraced({ delaySyncsMs: syncDelayMs });
    const { logged, synced, violation } = judgeDurability(calls, id);
    expect(violation).toBeUndefined();
    expect((synced?.returnsAt ?? 0) - (logged?.beginsAt ?? 0)).toBeGreaterThan(syncDelayMs / 1000);
    // The origin's time is in whole milliseconds.
    expect(receivedAt).toBeGreaterThanOrEqual((synced?.returnsAt ?? Infinity) - 0.001);
  });

  test.skipIf(noSyncEater !== undefined)(`is caught by the same check when the sync is taken out${because(noSyncEater)}`, async () => {
    const { calls, id } = await receiveTraced({ preload: syncEater ?? '' });
    expect(judgeDurability(calls, id).violation).toBe('the log was never synced after the id was written to it');
  });
});

describe('the check itself', () => {
  const wal = '9</h/beckon.db-wal>';
  const socket = '31<UNIX-STREAM:[12->34,"/h/run/control.sock"]>';
  const written = `7 1.0 pwrite64(${wal}, "..inv_A..", 4096, 24) = 4096 <0.001>`;
  const told = `6 5.0 write(${socket}, "..inv_A..", 60) = 60 <0.001>`;
  const synced = `7 2.0 fdatasync(${wal}) = 0 <0.100>`;

  test.each([
    ['a sync between commit and answer', [written, synced, told], undefined],
    ['no sync', [written, told], 'the log was never synced after the id was written to it'],
    ['a sync only before the commit', [synced, written, told], 'the log was never synced after the id was written to it'],
    ['a sync that failed', [written, synced.replace('= 0', '= -1 EIO'), told], 'the log was never synced after the id was written to it'],
    ['a sync of another file', [written, synced.replace('-wal', ''), told], 'the log was never synced after the id was written to it'],
    ['an answer before the sync', [written, told, synced], 'the id was told before the sync returned'],
    ['an answer while the sync goes on', [written, `7 2.0 fdatasync(${wal} <unfinished ...>`, told, '7 6.0 <... fdatasync resumed>) = 0 <4.000>'], 'the id was told before the sync returned'],
    ['an answer before the commit', [told, written, synced], 'the id was told before it was written'],
    ['an answer without a commit', [synced, told], 'the id was never written to the log of the database'],
  ])('judges %s', (_what, lines, violation) => {
    expect(judgeDurability(parseTrace(lines.join('\n')), 'inv_A').violation).toBe(violation);
  });
});

function findLibrary(name: string): string | undefined {
  const places = ['/usr/lib', '/usr/lib64', '/usr/local/lib'].filter((place) => existsSync(place));
  const nested = places.flatMap((place) => readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name.includes('-linux-')).map((entry) => join(place, entry.name)));
  return [...nested, ...places].map((place) => join(place, name)).find((path) => existsSync(path) && readFileSync(path).length > 0);
}
