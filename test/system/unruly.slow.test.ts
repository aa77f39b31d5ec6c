/** An agent that prints far more than anybody reads. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lengthOf } from '../../src/store/large-bytes.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { rows } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { because, notLinux } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const bytes = 200_000_000;
/** Above what the node holds at rest, bytes: windows and buffers of a few megabytes, and garbage until it is collected. */
const roomBytes = 160 * 1024 * 1024;

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  await desktop.addAgent('flood', ['/bin/sh', '-c', `yes 'all work and no play' | head -c ${bytes}`]);
  await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 1);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

/** The most that a process held since it began. */
const peak = (node: TestNode): number => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${node.pid ?? 0}/status`, 'utf8'))?.[1]) * 1024;

test.skipIf(notLinux !== undefined)(`an agent that prints 200 MB: all of it is kept on both nodes, in order, and neither grows by what it carries${because(notLinux)}`, async () => {
  const before = [laptop, desktop].map(peak);
  const { code, last } = await laptop.invoke(['flood@desktop', '', '--quiet'], { timeoutMs: 240_000 });
  expect([code, last['state'], last['truncated']]).toEqual([0, 'completed', true]);
  const after = [laptop, desktop].map(peak);
  const grown = after.map((each, index) => each - (before[index] ?? 0));
  console.log(`200 MB from one node to the other: ${after.map((each, index) => `${Math.round((before[index] ?? 0) / 1e6)} → ${Math.round(each / 1e6)} MB`).join(', ')}`);
  for (const each of grown) expect(each).toBeLessThan(roomBytes);

  const expected = createHash('sha256').update('all work and no play\n'.repeat(Math.ceil(bytes / 21)).slice(0, bytes)).digest('hex');
  const id = String(last['invocationId'] ?? ((await laptop.json(['flights']))['flights'] as Json[])[0]?.['invocationId']);
  for (const node of [laptop, desktop]) {
    const events = rows(node.databasePath, `SELECT count(*) AS events, max(seq) AS most, sum(${lengthOf('e')}) AS bytes FROM flight_events e WHERE invocation_id = ?`, id);
    expect(events).toMatchObject([{ bytes }]);
    expect(events[0]?.['events']).toBe(events[0]?.['most']);
    const { stdout } = await node.beckon(['flight', 'output', id], { timeoutMs: 60_000 });
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(expected);
  }
}, 400_000);
