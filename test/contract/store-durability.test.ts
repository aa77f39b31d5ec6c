import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { FlightId } from '../../src/domain/ids.ts';
import { openStore } from '../../src/store/open.ts';
import { because, missing, notLinux, notRoot } from '../support/programs.ts';
import { nodeIdFor, openTempStore, silentLog, Story, textTask, utf8 } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const script = fileURLToPath(new URL('../support/accepting-process.ts', import.meta.url));

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-durable-'));
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** Ids that the process said were acknowledged, up to the moment it was killed. */
async function acceptUntilKilled(path: string, startMs: number, count: number): Promise<FlightId[]> {
  const child = spawn(process.execPath, [script, path, String(startMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > count) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'close')) as [unknown, string];
  expect(signal).toBe('SIGKILL');
  return said.split('\n').slice(0, -1) as FlightId[];
}

test('a node killed in the middle of its writes has every write that it acknowledged, and no half of one', async () => {
  const path = join(temporaryDirectory(), 'beckon.db');
  const acknowledged: FlightId[] = [];
  for (let round = 0; round < 3; round += 1) acknowledged.push(...await acceptUntilKilled(path, 1_700_000_000_000 + round * 3_600_000, 300));
  expect(acknowledged.length).toBeGreaterThanOrEqual(900);
  const store = await openStore({ path, nodeId: me, log: silentLog });
  expect(acknowledged.filter((id) => store.read.flight(id)?.state !== 'queued')).toEqual([]);
  const counts = await store.inspect.countFlights();
  await store.close();
  const db = new Database(path, { readonly: true });
  onTestFinished(() => {
    db.close();
  });
  const count = (sql: string): number => (db.prepare(`SELECT count(*) AS n FROM ${sql}`).get() as { n: number }).n;
  const flights = count('flights');
  expect(counts).toEqual({ queued: flights });
  expect([count('invocations'), count('payloads'), count('deliveries'), count('events') / 2]).toEqual([flights, flights, flights, flights]);
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  expect(db.pragma('foreign_key_check')).toEqual([]);
}, 60_000);

const noSmallDisk = notLinux ?? notRoot ?? missing('mount') ?? (mountsTmpfs() ? undefined : 'mounts are not allowed here');

/** Containers often forbid it to root as well. */
function mountsTmpfs(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-mount-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', directory]).status === 0;
  if (isMounted) spawnSync('umount', [directory]);
  rmSync(directory, { recursive: true, force: true });
  return isMounted;
}

test.skipIf(noSmallDisk !== undefined)(`a full disk rejects writes as unavailable, keeps what was stored, and goes on when there is room${because(noSmallDisk)}`, async () => {
  const directory = temporaryDirectory();
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', directory]).status).toBe(0);
  onTestFinished(() => {
    spawnSync('umount', [directory]);
  });
  const story = new Story();
  const store = await openStore({ path: join(directory, 'beckon.db'), nodeId: me, log: silentLog });
  const accept = (bytes: number) =>
    store.write.accept(story.accept(story.invocation({ origin: me, owner: me }), undefined, { task: textTask('x'.repeat(bytes)) }));
  const first = await accept(10);
  const burst = await Promise.allSettled([accept(1), accept(3_000_000), accept(1)]);
  expect(burst.map((each) => (each.status === 'rejected' ? (each.reason as { code: string }).code : each.status))).toEqual(['unavailable', 'unavailable', 'unavailable']);
  expect(store.read.flight(first.flight.id)).toEqual(first.flight);
  expect(store.read.queuedCount('@fabric@laptop#main')).toBe(1);
  expect(spawnSync('mount', ['-o', 'remount,size=64m', directory]).status).toBe(0);
  const after = await accept(3_000_000);
  expect(store.read.task(after.flight.invocationId)?.text.length).toBe(3_000_000);
  expect(await store.inspect.countFlights()).toEqual({ queued: 2 });
  await store.close();
});

test.skipIf(noSmallDisk !== undefined)(`a probe is refused by a full disk as a write is, and taken when there is room${because(noSmallDisk)}`, async () => {
  const directory = temporaryDirectory();
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', directory]).status).toBe(0);
  onTestFinished(() => {
    spawnSync('umount', [directory]);
  });
  const store = await openStore({ path: join(directory, 'beckon.db'), nodeId: me, log: silentLog });
  await store.write.probe();
  expect(spawnSync('dd', ['if=/dev/zero', `of=${join(directory, 'filler')}`, 'bs=4k', 'count=1000']).status).not.toBe(0);
  await expect(store.write.probe()).rejects.toMatchObject({ code: 'unavailable' });
  rmSync(join(directory, 'filler'));
  await store.write.probe();
  await store.close();
});

test('a store that closes settles what it was asked, refuses what comes later, and leaves one file', async () => {
  await using temp = await openTempStore(me);
  const story = new Story();
  const { store } = temp;
  await store.inspect.flights({}, { limit: 1 });
  const asked = Array.from({ length: 100 }, () => store.write.accept(story.accept(story.invocation({ origin: me, owner: me }))));
  const closing = store.close();
  expect(await Promise.all(asked)).toHaveLength(100);
  await closing;
  await store.close();
  expect(readdirSync(temp.directory)).toEqual(['beckon.db']);
  await expect(store.write.saw({ nodeId: me, atMs: 1 })).rejects.toMatchObject({ code: 'unavailable' });
  await expect(store.inspect.countFlights()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(store.inspect.flights({}, { limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
});

test('a database that can not be used is refused by openStore, and nothing is left running', async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'beckon.db');
  const other = new Database(path);
  other.exec('CREATE TABLE theirs (a)');
  other.close();
  spawnSync('chmod', ['600', path]);
  const size = statSync(path).size;
  await expect(openStore({ path, nodeId: me, log: silentLog })).rejects.toMatchObject({ code: 'incompatible' });
  expect([readdirSync(directory), statSync(path).size]).toEqual([['beckon.db'], size]);
});

test('the caller’s buffers stay whole, and may change once the write is asked for', async () => {
  await using temp = await openTempStore(me);
  const story = new Story();
  const large = new Uint8Array(100_000).fill(1);
  const small = utf8('task');
  const invocation = story.invocation({ origin: me, owner: me });
  const asked = temp.store.write.accept(story.accept(invocation, undefined, { task: { text: large, files: [{ name: 'f', bytes: small }] } }));
  expect([large.length, small.length]).toEqual([100_000, 4]);
  large.fill(2);
  small.fill(0);
  await asked;
  const task = temp.store.read.task(invocation.id)!;
  expect(task.text.every((byte) => byte === 1)).toBe(true);
  expect(Buffer.from(task.files[0]!.bytes).toString()).toBe('task');
});
