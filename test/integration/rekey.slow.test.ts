/** A machine that was copied gets a key of its own: what is kept, and what a crash on the way leaves. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../src/app/open-log.ts';
import { paths as pathsOf } from '../../src/app/paths.ts';
import type { Paths } from '../../src/app/paths.ts';
import { finishRekey, rekey } from '../../src/app/rekey.ts';
import type { RekeyStep } from '../../src/app/rekey.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { readKeyFile } from '../../src/trust/key-file.ts';
import { nodeKeyOf } from '../../src/trust/node-key.ts';
import { LocalNode } from '../support/local-node.ts';

let root: string;
let node: LocalNode;
let paths: Paths;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'beckon-rekey-'));
  node = await new LocalNode('laptop', root).start();
  paths = pathsOf({ BECKON_HOME: node.home }, process.platform, node.home, process.getuid?.() ?? 0);
  await node.client.createMesh({ new: false });
  await node.addAgent('fabric', { argv: ['true'] });
  await node.addAgent('weaver', { argv: ['cat'] });
  await node.invoke('@fabric@laptop#main', 'once');
  await node.stop();
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const run = (onStep?: (step: RekeyStep) => void): ReturnType<typeof rekey> =>
  rekey({ paths, clock: createSystemClock(), log: silentLog, version: '0.0.0-test', ...(onStep === undefined ? {} : { onStep }) });

interface Found {
  readonly nodeId: string;
  readonly agents: readonly string[];
  readonly isMember: boolean;
  readonly flights: number;
}

/** What the next start would find in that directory. */
async function lookAt(stateDir: string): Promise<Found> {
  const key = await readKeyFile(join(stateDir, 'trust', 'node.key'));
  if (key === undefined) throw new Error(`${stateDir} has no key`);
  const { nodeId } = nodeKeyOf(key);
  const store = await openStore({ path: join(stateDir, 'beckon.db'), nodeId, log: silentLog });
  try {
    const { read } = store;
    const addresses = read.endpoints().map(({ address }) => address);
    // A key and a store of two nodes would not go together.
    expect(read.ownRegistrations().map((each) => each.nodeId)).toEqual(addresses.map(() => nodeId));
    const counts = await store.inspect.countFlights();
    return { nodeId, agents: addresses.toSorted(), isMember: read.membership() !== undefined, flights: Object.values(counts).reduce((sum, each) => sum + each, 0) };
  } finally {
    await store.close();
  }
}

const agents = ['@fabric@laptop#main', '@weaver@laptop#main'];

test('the agents stay, all else begins anew, and what was is kept whole', async () => {
  const before = await lookAt(paths.stateDir);
  expect(before).toMatchObject({ agents, isMember: true, flights: 1 });
  writeFileSync(paths.cloneFile, JSON.stringify({ nodeId: before.nodeId, refusals: [{ by: 'k51other', name: 'desktop', why: 'two machines', atMs: 1 }] }));
  const made = await run();
  expect(made).toMatchObject({ was: before.nodeId, agents });
  const after = await lookAt(paths.stateDir);
  expect(after).toEqual({ nodeId: made.nodeId, agents, isMember: false, flights: 0 });
  expect(after.nodeId).not.toBe(before.nodeId);
  expect(await lookAt(made.aside)).toEqual(before);
  for (const path of [paths.cloneFile, paths.epochFile]) expect(existsSync(path)).toBe(false);
  expect(existsSync(join(paths.stateDir, 'up.json'))).toBe(true);
  // It is a node like any other, under the name that it had.
  await node.start();
  expect(await node.client.status()).toMatchObject({ nodeId: made.nodeId, name: 'laptop' });
  const { flightId } = await node.invoke('@weaver@laptop#main', 'again');
  await node.becomes(flightId, 'completed');
  await expect(run()).rejects.toMatchObject({ code: 'conflict' });
});

test('a crash at any step leaves the old state or the new, and the next start goes on from there', async () => {
  const before = await lookAt(paths.stateDir);
  let known = before;
  for (let crashAfter = 1; ; crashAfter += 1) {
    let steps = 0;
    let isDecided = false;
    const crashed = await run((step) => {
      isDecided ||= step === 'decided';
      if ((steps += 1) === crashAfter) throw new Error(`crashed at ${step}`);
    }).then(() => false, (error: unknown) => /crashed/.test(String(error)));
    await finishRekey(paths);
    const found = await lookAt(paths.stateDir);
    expect(found.agents).toEqual(agents);
    if (isDecided) expect(found).toMatchObject({ isMember: false, flights: 0 });
    else expect(found).toEqual(known);
    expect(found.nodeId === known.nodeId).toBe(!isDecided);
    known = found;
    expect(readdirSync(paths.stateDir).filter((name) => name.startsWith('rekey'))).toEqual([]);
    if (crashed) continue;
    expect(crashAfter).toBeGreaterThan(8);
    break;
  }
  // Nothing of what was is lost.
  const kept = await Promise.all(readdirSync(join(paths.stateDir, 'set-aside')).map((name) => lookAt(join(paths.stateDir, 'set-aside', name))));
  expect(kept).toContainEqual(before);
});
