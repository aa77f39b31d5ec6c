/** Submitting many to a whole node: what is accepted is stored, once a key, and what is refused is refused alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon, Submission, SubmitResult } from '../../src/client/index.ts';
import { LocalNode } from '../support/local-node.ts';

let root: string;
let node: LocalNode;
let beckon: Beckon;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'beckon-submit-'));
  node = await new LocalNode('laptop', root).start();
  beckon = await connect({ socketPath: join(node.home, 'run', 'control.sock') });
});
afterEach(async () => {
  beckon.close();
  await node[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

async function all(submissions: Iterable<Submission>): Promise<SubmitResult[]> {
  const results: SubmitResult[] = [];
  for await (const each of beckon.submit(submissions)) results.push(each);
  return results.toSorted((a, b) => a.index - b.index);
}

/** Its first run never ends, so that all others wait. */
async function addHolding(name: string, queue: number): Promise<void> {
  const added = await node.cli('agent', 'add', name, '--workspace', 'main', '--concurrency', '1', '--queue', `${queue}`, '--', 'sleep', '1000');
  expect([added.code, added.stderr]).toEqual([0, expect.anything()]);
}

const numbered = (count: number, changes: (index: number) => Partial<Submission> = () => ({})): Submission[] => Array.from({ length: count }, (_, index) => ({ address: 'hold', task: `task ${index}`, ...changes(index) }));

test('each is a flight of its own, in the order of submission, with its own task', async () => {
  await addHolding('hold', 1000);
  const results = await all(numbered(300));
  expect(results.filter(({ accepted }) => accepted === undefined)).toEqual([]);
  const ids = results.map(({ accepted }) => accepted?.flightId ?? '');
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids.map((id) => id.slice(-4))).size).toBe(300);
  const flights = [];
  for (let after: string | undefined; ; ) {
    const page = await beckon.listFlights({}, { limit: 100, ...(after === undefined ? {} : { after }) });
    flights.push(...page.items);
    if (page.next === undefined) break;
    after = page.next;
  }
  expect(flights.map(({ id }) => id).toSorted()).toEqual(ids);
  expect(results[0]?.accepted).toMatchObject({ target: '@hold@laptop#main', deduplicated: false });
});

test('a key stands for one, however often and beside whatever it is submitted', async () => {
  await addHolding('hold', 1000);
  const first = await all(numbered(50, (index) => ({ key: `k${index % 10}`, task: `task ${index % 10}` })));
  const flights = new Set(first.map(({ accepted }) => accepted?.flightId));
  expect([flights.size, first.filter(({ accepted }) => accepted?.deduplicated === false).length]).toEqual([10, 10]);
  const again = await all([...numbered(10, (index) => ({ key: `k${index}` })), { address: 'hold', task: 'another', key: 'k3' }, ...numbered(1)]);
  expect(again.map(({ accepted, error }) => error?.code ?? accepted?.deduplicated)).toEqual([...Array.from({ length: 10 }, () => true), 'conflict', false]);
});

test('where there is no place, or no agent, those alone are refused', async () => {
  await addHolding('hold', 20);
  await addHolding('free', 1000);
  const results = await all([...numbered(40, () => ({ overloadMs: 0 })), { address: 'nobody' }, { address: 'not an address' }, ...numbered(40, () => ({ address: 'free' }))]);
  const outcomes = results.map(({ accepted, error }) => error?.code ?? accepted?.target);
  expect(outcomes.slice(0, 40).filter((each) => each === 'overload').length).toBeGreaterThanOrEqual(19);
  expect(outcomes.slice(0, 40).filter((each) => each === '@hold@laptop#main').length).toBeGreaterThanOrEqual(20);
  expect(outcomes.slice(40)).toEqual(['not_found', 'invalid', ...Array.from({ length: 40 }, () => '@free@laptop#main')]);
  expect(results.find(({ error }) => error?.code === 'overload')?.error?.retryAfterMs).toBeGreaterThan(0);
});

test('of an agent that is gone nothing more is accepted', async () => {
  await addHolding('hold', 1000);
  const results: SubmitResult[] = [];
  let isGone = false;
  function* endless(): Generator<Submission> {
    while (results.length < 2000 && !results.some(({ error }) => error !== undefined)) yield { address: 'hold' };
  }
  for await (const each of beckon.submit(endless())) {
    results.push(each);
    if (results.length === 100 && !isGone) {
      isGone = true;
      await node.cli('agent', 'rm', 'hold');
    }
  }
  expect(results.find(({ error }) => error !== undefined)?.error?.code).toBe('not_found');
  expect(results.length).toBeLessThan(2000);
});
