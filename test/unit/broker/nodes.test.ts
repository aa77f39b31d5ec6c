import { expect, test } from 'vitest';
import { Nodes } from '../../../src/broker/nodes.ts';
import type { Member, Store } from '../../../src/domain/store-port.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const self = { nodeId: nodeIdFor(1), epoch: 1, previousEpoch: 0, version: '1', name: () => 'laptop', certifiedAtMs: () => 0, namedSinceMs: () => 0, owner: () => 'ada', mesh: () => undefined };

function nodesOf(...names: string[]): Nodes {
  const members = names.map((name, index) => ({ name, nodeId: nodeIdFor(index + 2), notBeforeMs: 1 }) as Member);
  return new Nodes({ self, store: { read: { members: () => members } } as unknown as Store });
}

test('a node is found by name and by id', () => {
  const nodes = nodesOf('desktop', 'server');
  expect(nodes.find('desktop')).toBe(nodeIdFor(2));
  expect(nodes.find(nodeIdFor(3))).toBe(nodeIdFor(3));
  expect(nodes.find('laptop')).toBe(nodeIdFor(1));
});

test.each([
  ['dekstop', ['desktop', 'server'], 'did you mean desktop?'],
  ['serv', ['server', 'serves'], 'did you mean server or serves?'],
  ['phone', ['desktop', 'server'], 'members: laptop, desktop, server'],
  [nodeIdFor(9), ['desktop'], 'members: laptop, desktop'],
  ['phone', [], 'add one: beckon mesh invite'],
])('%s, where the others are %j: %s', (typed, others, hint) => {
  expect(() => nodesOf(...others).find(typed)).toThrow(expect.objectContaining({ code: 'not_found', hint }) as Error);
});
