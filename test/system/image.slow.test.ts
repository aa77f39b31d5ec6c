/** The image of docker/Dockerfile, when buildah has one as localhost/beckon (CONTRIBUTING says how it is made here). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container, Image, noContainers } from '../support/container.ts';
import { connectTwoHosts } from '../support/netns.ts';
import type { Cable } from '../support/netns.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const name = 'localhost/beckon';
const noImage = noContainers ?? (spawnSync('buildah', ['inspect', '--type', 'image', name]).status === 0 ? undefined : `there is no image ${name}`);

describe.skipIf(noImage !== undefined)(`two containers of the image, each read-only but for its volume${because(noImage)}`, () => {
  let directory: string;
  let image: Image;
  let cable: Cable;
  let laptop: Container;
  let server: Container;
  const started = (host: 'left' | 'right', hostname: string): Container =>
    new Container(image, { hostname, data: join(directory, hostname), network: cable[host].namespace, command: ['up', '--name', hostname, '--listen', '0.0.0.0:7423', '--seed', '10.77.31.1:7423', '--tailscale', 'off', '--drain', '60s'] });
  const addAgent = (to: Container, agent: string, script: string): void => {
    expect(to.exec('beckon', 'agent', 'add', agent, '--workspace', 'main', '--', 'sh', '-c', script)).toMatchObject({ code: 0 });
  };
  const isHealthy = (container: Container) => (): boolean => container.health === 0;
  const answer = (from: Container, address: string, task: string): unknown => {
    const lines = from.exec('beckon', 'invoke', address, task, '--json').stdout.trim().split('\n');
    return JSON.parse(lines.at(-1) ?? '{}');
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'beckon-image-'));
    image = new Image(name);
    cable = connectTwoHosts();
    laptop = started('left', 'laptop');
    server = started('right', 'server');
    await waitFor('both to be healthy', () => laptop.health === 0 && server.health === 0, { timeoutMs: 60_000, pollMs: 200 });
  });
  afterAll(async () => {
    await laptop?.kill();
    await server?.kill();
    cable?.[Symbol.dispose]();
    image?.[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test('the node is no root, has no capabilities, and can write to its volume alone', () => {
    const status = server.exec('sh', '-c', 'cat /proc/[0-9]*/status').stdout;
    expect(status).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
    expect(status).not.toMatch(/^Uid:\t0/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    for (const place of ['/app', '/etc', '/usr/local/bin', '/home/node', '/tmp']) expect(server.exec('touch', `${place}/x`).stderr).toMatch(/Read-only file system/);
    expect(server.exec('touch', '/data/x').code).toBe(0);
  });

  test('one joins the mesh of the other, and work is done both ways', async () => {
    laptop.json('mesh', 'create', 'home');
    const { token } = laptop.json('mesh', 'invite');
    server.json('mesh', 'join', String(token));
    for (const each of [laptop, server]) addAgent(each, 'echo', 'cat; hostname');
    await waitFor('both to see the other’s agent', () => [laptop, server].every((each) => (each.json('agents')['agents'] as unknown[]).length === 2), { timeoutMs: 15_000, pollMs: 200 });
    expect(answer(laptop, 'echo@server/main', 'over there? ')).toMatchObject({ type: 'finished', state: 'completed', output: 'over there? server\n' });
    expect(answer(server, 'echo@laptop/main', 'over here? ')).toMatchObject({ type: 'finished', state: 'completed', output: 'over here? laptop\n' });
  });

  test('what agents leave behind is reaped', async () => {
    addAgent(server, 'daemon', 'setsid -f sleep 0.5; echo left');
    expect(answer(server, 'daemon@server/main', '')).toMatchObject({ state: 'completed', output: 'left\n' });
    const processes = (): string => server.exec('sh', '-c', 'cat /proc/[0-9]*/stat').stdout;
    await waitFor('the daemon to be gone', () => !/\(sleep\)/.test(processes()), { pollMs: 100 });
    expect(processes()).not.toMatch(/\) Z /);
  });

  test('told to stop, it waits for what runs, and its next start goes on from its volume', async () => {
    addAgent(server, 'slow', 'sleep 3; echo done');
    const id = server.exec('beckon', 'invoke', 'slow@server/main', 'x', '--detach').stdout.trim();
    await waitFor('it to run', () => (server.json('flight', 'show', id)['flight'] as { state: string }).state === 'running', { pollMs: 100 });
    expect(await server.stop()).toBe(0);
    server = started('right', 'server');
    await waitFor('it to be healthy', isHealthy(server), { timeoutMs: 30_000, pollMs: 200 });
    expect(server.json('flight', 'show', id)['flight']).toMatchObject({ state: 'completed', output: 'done\n' });
    await waitFor('the laptop to have it back', () => answer(laptop, 'echo@server/main', '') !== undefined && (answer(laptop, 'echo@server/main', 'x ') as { state: string }).state === 'completed', { timeoutMs: 15_000, pollMs: 500 });
  });

  test('its health turns bad when the store is taken away, and good when it is back', async () => {
    const [there, away] = [join(directory, 'server', 'beckon', 'beckon.db'), join(directory, 'server', 'away.db')];
    expect(server.health).toBe(0);
    renameSync(there, away);
    expect(server.health).toBe(1);
    renameSync(away, there);
    expect(server.health).toBe(0);
  });
});
