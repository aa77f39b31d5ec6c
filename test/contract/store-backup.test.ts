/** A backup is the whole store at one moment, made while others write. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { BackupProgress } from '../../src/domain/backup-report.ts';
import { Backups } from '../../src/store/backup.ts';
import { openStore } from '../../src/store/open.ts';
import { nodeIdFor, openTempStore, silentLog, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const me = nodeIdFor(1);

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'beckon-backup-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function filled(temp: TempStore, count: number): Promise<Story> {
  const story = new Story();
  await temp.store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
  await Promise.all(Array.from({ length: count }, () => accept(temp, story, 'x'.repeat(500))));
  return story;
}

async function accept({ store }: TempStore, story: Story, text: string): Promise<void> {
  await store.write.accept(story.accept(story.invocation({ origin: me, owner: me }), { kind: 'local', queueLimit: 1e9 }, { task: textTask(text) }));
}

test('a backup holds what was stored, is the owner’s alone, and opens as a store', async () => {
  await using temp = await openTempStore(me);
  await filled(temp, 300);
  const path = join(directory(), 'copy.db');
  const report = await temp.store.backup(path);
  expect(report).toEqual({ path, bytes: statSync(path).size, schemaVersion: expect.any(Number), epoch: expect.any(Number), agents: 0, members: 0, flights: { queued: 300 } });
  expect(report.epoch).toBeGreaterThan(0);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const copy = await openStore({ path, nodeId: me, log: silentLog });
  expect([await copy.inspect.countFlights(), copy.read.queuedCount('@fabric@laptop#main')]).toEqual([{ queued: 300 }, 300]);
  await copy.close();
});

test('writes go on while it is made, and it holds one moment of them', async () => {
  await using temp = await openTempStore(me);
  const story = await filled(temp, 3000);
  const path = join(directory(), 'copy.db');
  let isDone = false;
  const backup = temp.store.backup(path).finally(() => {
    isDone = true;
  });
  let during = 0;
  while (!isDone) {
    await accept(temp, story, 'y');
    during += 1;
  }
  await backup;
  expect(during).toBeGreaterThan(3);
  const copy = new Database(path, { readonly: true });
  const count = (table: string): number => Number(copy.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
  const flights = count('flights');
  expect(flights).toBeGreaterThanOrEqual(3000);
  expect([count('invocations'), count('payloads'), Number(copy.prepare('SELECT count FROM flight_counts').pluck().get())]).toEqual([flights, flights, flights]);
  copy.close();
  expect((await temp.store.inspect.countFlights()).queued).toBe(3000 + during);
});

test('it rests while others write, four times as long as it worked, and tells how far it is', async () => {
  await using temp = await openTempStore(me);
  await filled(temp, 3000);
  const db = new Database(temp.path);
  db.pragma('wal_checkpoint(PASSIVE)');
  db.close();
  expect(statSync(temp.path).size, 'more than one step').toBeGreaterThan(4 * 1024 * 1024);
  const rests: number[] = [];
  let nowMs = 0;
  const clock = {
    monotonic: () => (nowMs += 2),
    setTimer: (ms: number, wake: () => void) => {
      rests.push(ms);
      setImmediate(wake);
      return () => undefined;
    },
  };
  let count = 0;
  const busy = new Backups({ path: temp.path, log: silentLog, clock, writes: () => (count += 1) });
  const quiet = new Backups({ path: temp.path, log: silentLog, clock, writes: () => count });
  const steps: BackupProgress[] = [];
  const place = directory();
  await busy.write(join(place, 'busy.db'), (step) => steps.push(step));
  const copied = steps.flatMap((each) => (each.step === 'copy' ? [each.done] : []));
  expect(copied.length).toBeGreaterThan(1);
  expect(rests).toEqual(copied.slice(1).map(() => 8));
  expect([[...new Set(steps.map(({ step }) => step))], copied.toSorted((a, b) => a - b)]).toEqual([['copy', 'match', 'check'], copied]);
  await quiet.write(join(place, 'quiet.db'));
  expect(rests).toHaveLength(copied.length - 1);
  await temp.store.close();
  busy.close();
  quiet.close();
});

test('nothing is written over, and a backup that fails leaves nothing', async () => {
  await using temp = await openTempStore(me);
  await filled(temp, 1);
  const place = directory();
  const taken = join(place, 'taken.db');
  writeFileSync(taken, 'mine');
  await expect(temp.store.backup(taken)).rejects.toMatchObject({ code: 'conflict' });
  await expect(temp.store.backup(temp.path)).rejects.toMatchObject({ code: 'conflict' });
  await expect(temp.store.backup(join(place, 'none', 'copy.db'))).rejects.toMatchObject({ code: 'invalid' });
  await expect(temp.store.backup('copy.db')).rejects.toMatchObject({ code: 'invalid' });
  expect([readdirSync(place), statSync(taken).size]).toEqual([['taken.db'], 4]);
});

test('a store that closes lets a backup end first', async () => {
  const temp = await openTempStore(me);
  await filled(temp, 300);
  const path = join(directory(), 'copy.db');
  const backup = temp.store.backup(path);
  await temp.store.close();
  expect((await backup).flights).toEqual({ queued: 300 });
  await temp[Symbol.asyncDispose]();
});
