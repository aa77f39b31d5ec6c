import pc from 'picocolors';
import { expect, test } from 'vitest';
import { topLines, TopView } from '../../../src/cli/top-view.ts';
import { agentView, fakePeers, fakeStatus, startMs } from '../../support/fake-records.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const colours = pc.createColors(false);

function crowd(nodes: number, agents: number): TopView {
  const view = new TopView();
  const peer = fakePeers[0];
  if (peer === undefined) throw new Error('no peer');
  view.takePeers({ type: 'all', atMs: startMs, peers: Array.from({ length: nodes }, (_, at) => ({ ...peer, nodeId: nodeIdFor(at + 1), name: `node-${at}` })) });
  const made = Array.from({ length: agents }, (_, at) => {
    const each = agentView('fabric', undefined);
    return { ...each, registration: { ...each.registration, address: `@fabric@laptop#w${at}` }, presence: { running: at % 3, queued: 1, ageMs: 0 } };
  });
  view.takeAgents({ agents: made, gone: [] });
  view.takeStatus({ ...fakeStatus, flights: { running: 3, completed: 10 } }, [], 0);
  return view;
}

test.each([[6, 30], [10, 80], [24, 80], [50, 140]])('with hundreds of nodes and agents %i rows of %i columns are enough, and each part says how many more there are', (rows, columns) => {
  const lines = topLines(crowd(300, 900), colours, startMs, rows, columns);
  expect(lines.length).toBeLessThanOrEqual(rows);
  if (columns >= 80) expect(lines.filter((line) => line.length > columns)).toEqual([]);
  if (rows >= 24) {
    const more = lines.filter((line) => /^and \d+ more$/.test(line)).map((line) => Number(/\d+/.exec(line)));
    const shown = (start: RegExp): number => lines.filter((line) => start.test(line)).length;
    expect(more).toEqual([301 - shown(/^(node-|laptop {2,}here)/), 900 - shown(/^@fabric/)]);
  }
});

test('the rates are what the counts of this node say, and pruning takes nothing away from them', () => {
  const view = crowd(1, 1);
  expect(view.rates).toBeUndefined();
  view.takeStatus({ ...fakeStatus, flights: { running: 1, completed: 20, failed: 2 } }, [], 2000);
  expect(view.rates).toEqual({ taken: 5, ended: 6 });
  view.takeStatus({ ...fakeStatus, flights: { running: 1 } }, [], 4000);
  expect(view.rates).toEqual({ taken: 0, ended: 0 });
});

test('an agent that is gone, or has nothing to do any more, is not shown', () => {
  const view = crowd(1, 2);
  const [first, second] = view.busy;
  if (first === undefined || second === undefined) throw new Error('two are busy');
  view.takeAgents({ agents: [{ ...first, presence: { running: 0, queued: 0, ageMs: 0 } }], gone: [{ nodeId: second.registration.nodeId, address: second.registration.address }] });
  expect(view.busy).toEqual([]);
});

test('of a node whose load is not known nothing is said of it', () => {
  const view = new TopView();
  view.takeStatus(fakeStatus, [], 0);
  view.takeAgents({ agents: [agentView('fabric', undefined)], gone: [] });
  expect(view.nodes[0]).toMatchObject({ name: 'laptop', agents: 1, load: undefined });
});
