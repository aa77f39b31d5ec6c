/** A node whose whole home was put back to an older day: the others show what it has now, to the row. Real processes. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { rows } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let desktop: TestNode;
let laptop: TestNode;
let server: TestNode;
let all: readonly TestNode[];

beforeEach(async () => {
  ({ cluster, desktop, laptop, server } = await Cluster.meshed('desktop', 'laptop', 'server'));
  all = [desktop, laptop, server];
  await server.addAgent('steady', ['cat']);
  for (const name of ['one', 'two', 'three']) await laptop.addAgent(name, ['cat']);
}, 120_000);
afterEach(() => cluster?.[Symbol.asyncDispose]());

/** Heads and records of all nodes, as they were signed. */
function registryAt({ databasePath }: TestNode): string {
  const owner = '(SELECT id FROM nodes WHERE number = each.node) AS owner';
  const heads = rows(databasePath, `SELECT ${owner}, epoch, version, count, root_hash, hex(payload) AS signed FROM registry_heads AS each ORDER BY 1`);
  const records = rows(databasePath, `SELECT ${owner}, address, hash, available, hex(payload) AS signed FROM registrations AS each ORDER BY 1, 2`);
  return JSON.stringify({ heads, records }, undefined, 1);
}

async function equal(what: string, timeoutMs: number): Promise<void> {
  await waitFor(what, () => new Set(all.map(registryAt)).size === 1, { timeoutMs, pollMs: 100 });
}

async function agentsAt(node: TestNode): Promise<string[]> {
  return ((await node.json(['agents']))['agents'] as Json[]).map(({ address }) => String(address)).toSorted();
}

/** From the day that is put back to today: agents come and go, and work is done, over some starts. */
async function live(): Promise<void> {
  await laptop.up();
  await laptop.addAgent('four', ['cat']);
  await laptop.json(['agent', 'rm', '@one@laptop#main']);
  await desktop.peer('laptop', 'alive');
  await waitFor('the newer agent', async () => (await agentsAt(desktop)).includes('@four@laptop#main'), { timeoutMs: 15_000 });
  expect((await desktop.invoke(['@four@laptop#main', 'work'])).last).toMatchObject({ state: 'completed' });
  await laptop.down();
  await laptop.up();
  await laptop.addAgent('five', ['cat']);
  await equal('all to have heard of it', 20_000);
  await laptop.down();
}

describe('a node that was put back is shown with what it has, and with nothing of what came after', () => {
  test.each([
    ['its clock being right', {}],
    ['its clock being behind all that the others have seen of it', { NODE_OPTIONS: `--import ${fileURLToPath(new URL('../support/jumping-clock.ts', import.meta.url))}`, JUMP_MS: '-200000' }],
  ])('%s', async (_clock, env) => {
    await equal('all to have the same', 20_000);
    await laptop.down();
    const home = cluster.path('laptop-then');
    execFileSync('cp', ['-a', laptop.home, home]);
    await live();
    rmSync(laptop.home, { recursive: true });
    execFileSync('cp', ['-a', home, laptop.home]);
    await laptop.up({ env });
    const began = performance.now();
    await equal('the others to have what it has', 10_000);
    const tookMs = performance.now() - began;
    // Its own head was no newer than what the others had: it put one above theirs.
    if ('JUMP_MS' in env) expect(laptop.log).toContain('what it has now counts');
    const own = ['@one@laptop#main', '@steady@server#main', '@three@laptop#main', '@two@laptop#main'];
    await waitFor('its agents everywhere', async () => (await Promise.all(all.map(agentsAt))).every((each) => String(each) === String(own)), { timeoutMs: Math.max(1, 10_000 - tookMs) });
    for (const node of [desktop, server]) expect((await node.invoke(['@one@laptop#main', 'again'])).last).toMatchObject({ state: 'completed' });
    expect((await desktop.beckon(['invoke', '@four@laptop#main', 'gone', '--json'])).code).not.toBe(0);
    // What it does from now on is heard like anything else.
    await laptop.addAgent('six', ['cat']);
    await equal('the newest agent everywhere', 10_000);
    expect(await agentsAt(server)).toContain('@six@laptop#main');
  }, 120_000);
});
