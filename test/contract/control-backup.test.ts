/** A backup over the control socket, and on a terminal. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client/connect.ts';
import type { BackupProgress, NodeClient } from '../../src/client/types.ts';
import { conflict } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;
let client: NodeClient;
beforeEach(async () => {
  node = await new FakeNode().start();
  client = await connect({ socketPath: node.socketPath });
});
afterEach(async () => {
  client.close();
  await node.stop();
});

test('whoever asks is told how far it is, a percent at a time, and at last what it holds', async () => {
  const steps: BackupProgress[] = [];
  node.broker.backup = async (path, tell) => {
    for (let done = 0; done <= 1000; done += 1) {
      tell?.({ step: 'copy', done, total: 1000 });
      if (done % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    tell?.({ step: 'check' });
    await new Promise((resolve) => setImmediate(resolve));
    return { path, bytes: 4096, schemaVersion: 1, epoch: 3, agents: 1, members: 2, flights: { completed: 3 } };
  };
  const report = await client.backup('/somewhere/copy.db', (progress) => steps.push(progress));
  expect(report).toEqual({ path: '/somewhere/copy.db', bytes: 4096, schemaVersion: 1, epoch: 3, agents: 1, members: 2, flights: { completed: 3 } });
  expect(steps.at(-1)).toEqual({ step: 'check' });
  const percents = steps.flatMap((each) => (each.step === 'check' ? [] : [Math.floor((100 * each.done) / each.total)]));
  expect(percents.length).toBeGreaterThan(50);
  expect(percents).toEqual([...new Set(percents)].toSorted((a, b) => a - b));
});

test('why it could not be made is said, whether its steps are asked for or not', async () => {
  node.broker.backup = () => Promise.reject(conflict('it exists already'));
  await expect(client.backup('/x', () => undefined)).rejects.toMatchObject({ code: 'conflict', message: 'it exists already' });
  await expect(client.backup('/x')).rejects.toMatchObject({ code: 'conflict', message: 'it exists already' });
});
