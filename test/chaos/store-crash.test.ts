/** A process that dies at any labelled step of any write: the write is stored whole, or nothing of it. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crashLabels, openStore } from '../../src/store/open.ts';
import { parseCrashLabel } from '../../src/store/crash.ts';
import { writeNames } from '../../src/store/protocol.ts';
import { storeStory, storyNode } from '../support/store-story.ts';
import { openTempStore, silentLog } from '../support/temp-store.ts';

const script = fileURLToPath(new URL('../support/store-story-process.ts', import.meta.url));
const story = storeStory();
/** Of what comes after, so much is played: each of it begins with what is stored, which is compared whole. */
const stepsOn = 4;
const directory = mkdtempSync(join(tmpdir(), 'beckon-crash-'));
/** What the store holds before each step of the story, and after the last. */
const states: string[] = [];

beforeAll(async () => {
  await using temp = await openTempStore(storyNode);
  for (const { name, input } of story) {
    keep(temp.path, states.push(contentOf(temp.path)) - 1);
    await (temp.store.write[name] as (input: unknown) => Promise<unknown>)(input);
  }
  keep(temp.path, states.push(contentOf(temp.path)) - 1);
}, 30_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The store before that step, as files: nothing is being written. */
function keep(path: string, at: number): void {
  for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, join(directory, `${at}.db${end}`));
}

function startFrom(at: number, path: string): void {
  for (const end of ['', '-wal']) copyFileSync(join(directory, `${at}.db${end}`), `${path}${end}`);
}

/** All rows of all tables, in order. */
function contentOf(path: string): string {
  const db = new Database(path, { readonly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").pluck().all() as string[];
  const content = tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).raw().all().map((row) => JSON.stringify(row)).toSorted()]);
  const flaws = [db.pragma('integrity_check', { simple: true }), db.pragma('foreign_key_check')];
  db.close();
  return JSON.stringify([content, flaws], undefined, 1);
}

/** What it loads is compiled once for all of them. */
function playUntil(label: string, path: string, from: number): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, path, label, String(from)], { encoding: 'utf8', timeout: 20_000, env: { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compiled') } });
}

/** @returns how many steps are done then */
async function playOn(path: string, from: number): Promise<number> {
  const to = Math.min(from + stepsOn, story.length);
  const store = await openStore({ path, nodeId: storyNode, log: silentLog });
  for (const { name, input } of story.slice(from, to)) await (store.write[name] as (input: unknown) => Promise<unknown>)(input);
  await store.close();
  return to;
}

describe('the labels', () => {
  test('are three steps of every write, and the story has them all', () => {
    expect(crashLabels).toHaveLength(writeNames.length * 3);
    expect(new Set(story.map(({ name }) => name))).toEqual(new Set(writeNames));
    // A probe leaves nothing behind.
    const probes = story.filter(({ name }) => name === 'probe').length;
    expect(new Set(states).size).toBe(states.length - probes);
    for (const label of crashLabels) expect(parseCrashLabel(`${label}:2`).nth).toBe(2);
  });

  test.each(['', 'accept', 'accept:later', 'nothing:after-commit', 'accept:after-commit:0', 'accept:after-commit:1:1'])('%j is none, and no store opens with it', async (label) => {
    const path = join(directory, 'bad.db');
    await expect(openStore({ path, nodeId: storyNode, log: silentLog, crashAt: label })).rejects.toMatchObject({ code: 'invalid' });
  });
});

/** Before it begins there is nothing of a write, whichever it is: every eighth stands for all of those. */
const triedLabels = crashLabels.filter((label, index) => !label.endsWith(':before-begin') || index % 24 === 0);

test.each(triedLabels)('a process that dies at %s has the write whole or not at all, and goes on from there', async (label) => {
  const { write, step } = parseCrashLabel(label);
  const at = story.findIndex(({ name }) => name === write);
  const path = join(directory, `${label.replace(':', '-')}.db`);
  startFrom(at, path);
  const died = playUntil(label, path, at);
  expect([died.signal, died.stderr]).toEqual(['SIGKILL', '']);
  const stored = step === 'after-commit' ? at + 1 : at;
  expect(contentOf(path)).toBe(states[stored]);
  const done = await playOn(path, stored);
  expect(contentOf(path)).toBe(states[done]);
}, 30_000);
