/** A node that reads its config file again: what changes while it runs. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let root: string;
let node: LocalNode;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'beckon-reload-'));
  node = await new LocalNode('laptop', root).start({ config: '' });
  await node.addAgent('echo', { argv: ['/bin/cat'] });
});
afterAll(async () => {
  try {
    await node[Symbol.asyncDispose]();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

const program = (name: string, body: string): string => {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
};
const completed = async (): Promise<string> => {
  const { flightId } = await node.invoke('echo', 'hello');
  await node.becomes(flightId, 'completed');
  return flightId;
};

test('who is told of what has finished, from then on', async () => {
  const told = join(root, 'told');
  const before = await completed();
  await node.reload(`notify = ["${program('tell', `echo "$BECKON_FLIGHT_ID" >> '${told}'`)}"]\nnotify_all = true\n`);
  const after = await completed();
  await waitFor('the program to be run', () => existsSync(told) && readFileSync(told, 'utf8').includes(after));
  expect(readFileSync(told, 'utf8')).not.toContain(before);

  await node.reload('notify_all = false\n');
  const later = await completed();
  expect((await node.client.showConfig()).settings.find(({ key }) => key === 'notify')).toMatchObject({ value: null, from: 'default' });
  expect(readFileSync(told, 'utf8')).not.toContain(later);
});

test('what is said of a project is in force at once, without a scan', async () => {
  const shop = join(root, 'shop');
  mkdirSync(join(shop, '.beckon'), { recursive: true });
  writeFileSync(join(shop, '.beckon', 'project.json'), JSON.stringify({ command: [program('agent', 'cat')] }));
  const { projects } = await node.client.scanProjects({ directories: [shop], cwd: shop, path: '/usr/bin:/bin' });
  await node.client.approveProjects({ approvals: projects.map(({ root: of, fingerprint }) => ({ root: of, fingerprint })), path: '/usr/bin:/bin' });
  const agents = async (): Promise<readonly string[]> => (await node.client.listAgents({}, { limit: 100 })).items.map(({ registration }) => registration.address);
  expect(await agents()).toContain('@shop@laptop#shop');
  await node.reload(`[projects."${shop}"]\nignore = true\n`);
  // Long before the look that is due every ten seconds.
  await waitFor('its agent to be gone', async () => !(await agents()).includes('@shop@laptop#shop'), { timeoutMs: 4_000 });
});

test('a file that is wrong changes nothing', async () => {
  await node.reload('notify_all = true\n');
  await node.reload('notify_all = false\nlisten = [1]\n');
  const { settings, flaws } = await node.client.showConfig();
  expect(settings.find(({ key }) => key === 'notify_all')).toMatchObject({ value: true, from: 'file' });
  expect(flaws).toMatchObject([{ line: 2, column: 11, message: 'listen[0]: must be a text, and is a number' }]);
});
