/** An agent whose own git worktree was removed: it says so, and what waits for it does not wait for ever. */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { FlightId } from '../../src/domain/ids.ts';
import { GitRepository } from '../support/git-repository.ts';
import { LocalPair } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
let home: string;
let repository: GitRepository;
let feature: string;
let address: string;
let count = 0;

beforeAll(async () => {
  pair = await new LocalPair().start();
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(async () => {
  count += 1;
  home = join(pair.root, `case-${count}`);
  repository = GitRepository.make(join(home, 'shop'), { 'a.txt': 'a' });
  feature = join(home, 'feature');
  repository.git('worktree', 'add', '--quiet', '-b', 'feature', feature);
  address = await pair.desktop.addAgent(`worker${count}`, { argv: ['sh', '-e'], cwd: feature });
  await pair.knows(pair.laptop, address);
});

/** Four that run until `go`, and two that wait behind them. */
async function sixFlights(): Promise<{ running: FlightId[]; held: FlightId[] }> {
  const ids: FlightId[] = [];
  for (let number = 0; number < 6; number += 1) ids.push((await pair.laptop.invoke(address, `touch '${home}/on-${number}'; until [ -e '${home}/go' ]; do sleep 0.05; done`)).flightId);
  await waitFor('four to run', () => [0, 1, 2, 3].every((number) => existsSync(join(home, `on-${number}`))));
  return { running: ids.slice(0, 4), held: ids.slice(4) };
}

test('what it held fails visibly with the reason, and it is shown as not available everywhere; what runs goes on', async () => {
  const { running, held } = await sixFlights();
  repository.git('worktree', 'remove', '--force', feature);
  const why = `its directory "${feature}" is gone: the git worktree was removed`;
  // Looked at now; otherwise it would be within ten seconds.
  expect((await pair.desktop.cli('invoke', address, 'x')).code).toBe(4);
  for (const id of held) {
    const { error, startedAtMs } = await pair.laptop.becomes(id, 'failed');
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining(why), hint: expect.stringContaining('beckon agent rm') });
    expect(startedAtMs).toBeUndefined();
  }
  // Where it was is not for others to know.
  const told = 'its directory … is gone: the git worktree was removed';
  await waitFor('the laptop to know', async () => (await pair.laptop.client.getAgent(address)).registration.unavailableWhy === told);
  const { code, stderr } = await pair.laptop.cli('invoke', address, 'x');
  expect(code).toBe(4);
  expect(stderr).toContain(told);
  for (const id of running) expect(await pair.laptop.flight(id)).toMatchObject({ state: 'running' });
  writeFileSync(join(home, 'go'), '');
  for (const id of running) await pair.laptop.becomes(id, 'completed');
});

test('work that is forwarded to it fails before it starts, when the origin does not know yet', async () => {
  rmSync(feature, { recursive: true });
  const { flightId } = await pair.laptop.invoke(address, 'true');
  const { error, startedAtMs } = await pair.laptop.becomes(flightId, 'failed');
  expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('is gone: the git worktree was deleted') });
  expect(startedAtMs).toBeUndefined();
});

test('a directory that is only away keeps what waits for it', async () => {
  const { running, held } = await sixFlights();
  renameSync(home, `${home}-away`);
  expect((await pair.desktop.cli('invoke', address, 'x')).code).toBe(4);
  await waitFor('the laptop to know', async () => !(await pair.laptop.client.getAgent(address)).registration.available);
  for (const id of held) expect(await pair.laptop.flight(id)).toMatchObject({ state: 'queued' });
  renameSync(`${home}-away`, home);
  expect((await pair.desktop.cli('invoke', address, 'true', '--detach')).code).toBe(0);
  await waitFor('it to be back', async () => (await pair.laptop.client.getAgent(address)).registration.available);
  writeFileSync(join(home, 'go'), '');
  for (const id of [...running, ...held]) await pair.laptop.becomes(id, 'completed');
});

test('within ten seconds, without anybody asking', async () => {
  const { running, held } = await sixFlights();
  repository.git('worktree', 'remove', '--force', feature);
  for (const id of held) await pair.laptop.becomes(id, 'failed', 15_000);
  for (const id of running) await pair.laptop.client.cancelFlight(id, 10_000);
}, 30_000);
