/** `doctor` on nodes that run, that were killed, and that hang. */
import { chmodSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kill } from '../support/belongings.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

async function doctor(...flags: readonly string[]): Promise<{ readonly code: number | null; readonly wrong: readonly string[]; readonly checks: Record<string, Json> }> {
  const { code, json } = await laptop.beckon(['doctor', ...flags, '--json']);
  const checks = json['checks'] as Json[];
  return { code, wrong: checks.filter(({ ok }) => ok !== true).map(({ id }) => String(id)), checks: Object.fromEntries(checks.map((each) => [String(each['id']), each])) };
}

test('all is well with a node that runs, as far as it and its peer can tell', async () => {
  const { code, wrong, checks } = await doctor();
  expect({ code, wrong }).toEqual({ code: 0, wrong: [] });
  expect(Object.keys(checks)).toEqual(['permissions', 'disk', 'config', 'node', 'database', 'audit', 'tailscale', 'listening', 'gossip', 'root', 'certificate', 'issuers', 'mesh', 'peers', 'reachable', 'clock', 'agents']);
  expect(checks['reachable']).toMatchObject({ detail: `from desktop at ${laptop.place.listen}` });
  expect(checks['clock']?.['detail']).toMatch(/^within \d+m?s of 1 other node$/);
  expect(checks['issuers']?.['detail']).toMatch(/^this node lets others in; 1 issuer has signed the 2 certificates/);
  for (const check of Object.values(checks)) expect(Object.keys(check)).toEqual(['id', 'ok', 'detail', 'hint']);
});

test('an agent whose program is gone, and a peer that is away, are told with what to do', async () => {
  await laptop.addAgent('weaver', ['/nowhere/weaver']);
  await desktop.down();
  await laptop.peer('desktop', 'unreachable');
  const { code, wrong, checks } = await doctor();
  expect({ code, wrong }).toEqual({ code: 1, wrong: ['peers', 'reachable', 'agents'] });
  expect(checks['agents']?.['detail']).toContain('@weaver@laptop#main is not available');
  expect(checks['peers']?.['detail']).toContain('its node was stopped');
  expect(wrong.every((id) => String(checks[id]?.['hint']) !== '')).toBe(true);
});

test('a node that hangs is told from one that is down, in seconds', async () => {
  const pid = laptop.pid ?? 0;
  kill(pid, 'SIGSTOP');
  try {
    const beganMs = performance.now();
    const { code, wrong, checks } = await doctor('--fix');
    expect(performance.now() - beganMs).toBeLessThan(15_000);
    expect({ code, wrong }).toEqual({ code: 1, wrong: ['node'] });
    expect(checks['node']?.['detail']).toContain('does not answer');
    expect(existsSync(laptop.socketPath)).toBe(true);
  } finally {
    kill(pid, 'SIGCONT');
  }
});

test('what a killed node left behind is put right with --fix, and the node starts', async () => {
  await laptop.kill9();
  chmodSync(laptop.databasePath, 0o644);
  chmodSync(join(laptop.home, 'run'), 0o755);
  expect((await doctor()).wrong).toEqual(['permissions', 'socket', 'node', 'database', 'audit']);
  const { wrong, checks } = await doctor('--fix');
  expect(wrong).toEqual(['node']);
  expect(checks['permissions']?.['fixed']).toHaveLength(2);
  expect(checks['socket']?.['fixed']).toHaveLength(1);
  expect(statSync(laptop.databasePath).mode & 0o777).toBe(0o600);
  await laptop.up();
  await waitFor('it to be well', async () => (await doctor()).wrong.every((id) => ['peers', 'reachable', 'agents'].includes(id)));
});
