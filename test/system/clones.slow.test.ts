/** A machine that was copied, image and all: who notices, what each is told, and the way out. Real processes. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let desktop: TestNode;
let laptop: TestNode;
let server: TestNode;
/** The home of `laptop`, on another machine. */
let copy: TestNode;

beforeAll(async () => {
  ({ cluster, desktop, laptop, server } = await Cluster.meshed('desktop', 'laptop', 'server'));
  await laptop.addAgent('echo', ['cat']);
  await laptop.invoke(['@echo@laptop#main', 'before']);
  await laptop.down();
  copy = await cluster.node('copy');
  execFileSync('cp', ['-a', `${laptop.home}/.`, copy.home]);
  await laptop.up();
  for (const node of [desktop, server]) await node.peer('laptop', 'alive');
}, 120_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

async function checkOf(node: TestNode, id: string): Promise<Json | undefined> {
  const { json } = await node.beckon(['doctor', '--json']);
  return (json['checks'] as Json[]).find((each) => each['id'] === id);
}

test('the second is refused by every peer, which all tell both addresses, and knows it; the first goes on', async () => {
  const up = await copy.beckon(['up', '--listen', copy.place.listen, '--tailscale', 'off', '--detach'], { timeoutMs: 30_000 });
  expect({ code: up.code, stderr: up.stderr }).toMatchObject({ code: 0 });
  const [kept, refused] = [laptop.place.listen, copy.place.listen];
  for (const node of [desktop, server]) {
    const check = await waitFor(`${node.name} to notice`, () => checkOf(node, 'clones'), { timeoutMs: 20_000, pollMs: 300 });
    expect(check).toMatchObject({ ok: false, detail: expect.stringContaining('laptop') });
    for (const address of [kept, refused]) expect(check['detail']).toContain(address);
    expect((await node.peer('laptop', 'alive'))['why']).toContain(`at ${kept} (kept) and at ${refused} (refused)`);
    expect(node.log.split('\n').filter((line) => line.includes('two machines use the key of laptop'))).toHaveLength(1);
    const { last } = await node.invoke(['@echo@laptop#main', 'still']);
    expect(last).toMatchObject({ type: 'finished', state: 'completed' });
  }
  const own = await waitFor('the copy to know', async () => {
    const check = await checkOf(copy, 'clone');
    return String(check?.['detail']).match(/desktop.*server|server.*desktop/) === null ? undefined : check;
  }, { timeoutMs: 20_000, pollMs: 300 });
  expect(own).toMatchObject({ ok: false, hint: expect.stringContaining('beckon doctor --fix') });
  const { node } = await copy.json(['status']);
  expect((node as Json)['refused']).toContain('two machines use the key of laptop');
  expect(await checkOf(laptop, 'clone')).toBeUndefined();
});

test('the second does not gossip in the name of the first, which keeps its neighbours', async () => {
  await waitFor('the copy to be silent', async () => String((await checkOf(copy, 'gossip'))?.['detail']).includes('it does not gossip: other nodes refuse this one'), { timeoutMs: 20_000, pollMs: 300 });
  await waitFor('the first to have its neighbours', async () => String((await checkOf(laptop, 'gossip'))?.['detail']).includes('2 of 2 other members are neighbours'), { timeoutMs: 30_000, pollMs: 300 });
  // Also after a restart, before anybody has refused it again.
  await copy.down();
  expect((await copy.beckon(['up', '--listen', copy.place.listen, '--tailscale', 'off', '--detach'], { timeoutMs: 30_000 })).code).toBe(0);
  expect((await checkOf(copy, 'gossip'))?.['detail']).toContain('it does not gossip');
});

test('without a yes nothing is touched; with it the copy is a node of its own, and enters the mesh anew', async () => {
  const before = await copy.json(['status']);
  const { code } = await copy.beckon(['doctor', '--fix', '--json']);
  expect(code).toBe(1);
  expect((await copy.json(['status']))['node']).toMatchObject({ id: (before['node'] as Json)['id'] });
  const fixed = await copy.beckon(['doctor', '--fix', '--yes', '--json']);
  const check = (fixed.json['checks'] as Json[]).find(({ id }) => id === 'clone');
  expect(check).toMatchObject({ ok: true, hint: expect.stringContaining('beckon up') });
  expect(JSON.stringify(check?.['fixed'])).toContain('@echo@laptop#main');
  const [aside] = readdirSync(join(copy.home, 'set-aside'));
  for (const name of ['beckon.db', 'trust/node.key']) expect(existsSync(join(copy.home, 'set-aside', aside ?? '', name))).toBe(true);

  const { token } = await desktop.json(['mesh', 'invite']);
  await copy.up({ flags: ['--join', '-'], stdin: `${String(token)}\n` });
  await desktop.peer('copy', 'alive');
  const { last } = await desktop.invoke(['@echo@copy#main', 'hello']);
  expect(last).toMatchObject({ type: 'finished', state: 'completed' });
  expect((await desktop.invoke(['@echo@laptop#main', 'hello'])).last).toMatchObject({ state: 'completed' });
  expect(await checkOf(copy, 'clone')).toBeUndefined();
});
