/** A burst, counted where it is kept and where it had its effect. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { FlightUpdate, InvokeRequest } from '../../src/client/index.ts';
import type { Json } from '../support/cli.ts';
import { requestOf } from '../support/asking.ts';
import { Cluster } from '../support/cluster.ts';
import { rows } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

const count = 2000;

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  // A process a run, and no shell: each run adds its task, one line, to one file.
  await desktop.addAgent('ledger', ['/usr/bin/tee', '-a', cluster.path('ledger')]);
  await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 1);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const taskOf = (number: number): string => `task ${number}\n`;

const numbered = (number: number): InvokeRequest => requestOf('@ledger@desktop#main', taskOf(number));

// The bound is for a machine that has other work too; the time it took is printed.
test(`${count} invocations at once to the other node: all completed, none lost, none twice`, async () => {
  const client = await connect({ socketPath: laptop.socketPath });
  const beganMs = performance.now();
  const last = async (number: number): Promise<FlightUpdate | undefined> => {
    let update: FlightUpdate | undefined;
    for await (const each of client.invoke(numbered(number))) update = each;
    return update;
  };
  const updates = await Promise.all(Array.from({ length: count }, (_, number) => last(number)));
  const tookMs = performance.now() - beganMs;
  client.close();

  const outcomes = updates.map((update) => (update?.type === 'finished' ? `${update.flight.state}: ${Buffer.from(update.output).toString()}` : `no end: ${update?.type}`));
  expect(outcomes).toEqual(updates.map((_, number) => `completed: ${taskOf(number)}`));

  // The effect in the world: a line a run.
  const ledger = readFileSync(cluster.path('ledger'), 'utf8');
  expect(ledger.split('\n').slice(0, -1).toSorted()).toEqual(updates.map((_, number) => taskOf(number).trim()).toSorted());

  const completed = 'SELECT invocation_id AS id FROM flights WHERE state = ? ORDER BY invocation_id';
  const [originated, owned] = [laptop, desktop].map((node) => rows(node.databasePath, completed, 'completed').map(({ id }) => String(id)));
  expect(originated).toHaveLength(count);
  expect(owned).toEqual(originated);
  for (const node of [laptop, desktop]) {
    expect(rows(node.databasePath, 'SELECT count(*) AS n FROM flights')).toEqual([{ n: count }]);
    expect(rows(node.databasePath, 'SELECT count(*) AS n FROM invocations')).toEqual([{ n: count }]);
    expect(rows(node.databasePath, 'SELECT max(run) AS most FROM flights')).toEqual([{ most: 1 }]);
  }
  expect(rows(laptop.databasePath, 'SELECT status, count(*) AS n FROM deliveries GROUP BY status')).toEqual([{ status: 'received', n: count }]);
  console.log(`${count} invocations of a process each, to the other node and back: ${(tookMs / 1000).toFixed(1)} s, ${Math.round((count * 1000) / tookMs)}/s`);
}, 180_000);
