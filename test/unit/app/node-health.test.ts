import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NodeHealth } from '../../../src/app/node-health.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

let directory: string;
let clock: FakeClock;
let probes: number;
let probe: () => Promise<void>;
let refusal: BrokerError | undefined;
let unreachable: string | undefined;
let logged: string[];
let health: NodeHealth;
const file = (): string => join(directory, 'beckon.db');
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-health-'));
  writeFileSync(file(), '');
  clock = new FakeClock();
  probes = 0;
  probe = () => Promise.resolve();
  refusal = undefined;
  unreachable = undefined;
  logged = [];
  const note = (_fields: unknown, message: string): void => void logged.push(message);
  health = await NodeHealth.open({
    store: { write: { probe: () => ((probes += 1), probe()) } },
    dbFile: file(),
    refusal: () => refusal,
    unreachable: () => unreachable,
    clock,
    log: { debug: note, info: note, warn: note, error: note },
  });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a node whose store takes a write is well, and one that others can’t reach is well but for its network', async () => {
  expect([await health.check('work'), await health.check('network')]).toEqual([undefined, undefined]);
  unreachable = 'in no mesh';
  expect([await health.check('work'), await health.check('network')]).toEqual([undefined, 'in no mesh']);
});

test('a store is asked once a second at most, however many want to know', async () => {
  await Promise.all(Array.from({ length: 100 }, () => health.check('work')));
  await health.check('work');
  expect(probes).toBe(1);
  await clock.advance(1_000);
  await health.check('work');
  expect(probes).toBe(2);
});

test('a write that fails is told, and logged once, and so is the first that succeeds again', async () => {
  probe = () => Promise.reject(new BrokerError('unavailable', 'the disk is full'));
  for (let round = 0; round < 3; round += 1) {
    expect(await health.check('work')).toBe('the disk is full');
    await clock.advance(1_000);
  }
  probe = () => Promise.resolve();
  expect(await health.check('work')).toBeUndefined();
  expect(logged).toEqual(['the store takes nothing that is written', 'the store takes what is written again']);
});

test('a database that was taken away, or whose place another took, is none, though writes to the open file succeed', async () => {
  renameSync(file(), `${file()}.aside`);
  expect(await health.check('work')).toContain('is gone');
  writeFileSync(file(), '');
  await clock.advance(1_000);
  expect(await health.check('work')).toContain('another file');
  renameSync(`${file()}.aside`, file());
  await clock.advance(1_000);
  expect(await health.check('work')).toBeUndefined();
});

test('a store that does not answer is not waited for for ever, and is not asked again meanwhile', async () => {
  const answered = Promise.withResolvers<void>();
  probe = () => answered.promise;
  const first = health.check('work');
  await waitFor('the store to be asked', () => probes === 1);
  await clock.advance(5_000);
  expect(await first).toContain('has not answered');
  const second = health.check('work');
  await clock.advance(5_000);
  expect(await second).toContain('has not answered');
  expect(probes).toBe(1);
  answered.resolve();
  const third = health.check('work');
  expect(await third).toBeUndefined();
});

test('a node that takes no new work says so without asking its disk', async () => {
  refusal = new BrokerError('unavailable', 'it goes down');
  expect(await health.check('work')).toBe('it goes down');
  expect(probes).toBe(0);
});

test('who watches is told what is so, then each change: at once when it is known, else within five seconds', async () => {
  const over = new AbortController();
  const seen: (string | undefined)[] = [];
  const watching = (async () => {
    for await (const why of health.watch('work', over.signal)) seen.push(why);
  })();
  await waitFor('the first word', () => seen.length === 1);
  probe = () => Promise.reject(new BrokerError('unavailable', 'the disk is full'));
  await clock.advance(5_000);
  await waitFor('the store’s fault', () => seen.length === 2);
  probe = () => Promise.resolve();
  await clock.advance(5_000);
  await waitFor('it to be well again', () => seen.length === 3);
  refusal = new BrokerError('unavailable', 'it goes down');
  health.changed();
  await waitFor('the last word', () => seen.length === 4);
  expect(seen).toEqual([undefined, 'the disk is full', undefined, 'it goes down']);
  over.abort();
  await watching;
  expect(clock.pending).toBe(0);
});
