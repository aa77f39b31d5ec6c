import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/domain/address.ts';
import { agentFilter } from '../../../src/domain/agent-filter.ts';
import type { AgentFilter } from '../../../src/domain/agent-filter.ts';
import type { Candidate } from '../../../src/domain/candidate.ts';

function instance(address: string, changes: Partial<Candidate> = {}): Candidate {
  const { agent, node = '', workspace = '' } = parseAddress(address);
  const rest = { nodeNameOwned: true, owner: 'ada', harness: 'command', capabilities: [], labels: {}, isDefault: false, available: true, nodeState: 'alive', lastSeenMs: 0 } as const;
  return { address, agent, workspace, nodeName: node, nodeId: `id-of-${node}`, ...rest, ...changes };
}

const known = [
  instance('@fabric@laptop#main', { labels: { team: 'web' }, capabilities: ['review', 'go'] }),
  instance('@fabric@desktop#feature/x', { harness: 'claude', available: false }),
  instance('@gone@server#main', { nodeState: 'left' }),
  instance('@review@desktop#main', { owner: 'bob', labels: { team: 'web', tier: '1' }, capabilities: ['review'] }),
];
const shown = (filter: AgentFilter): string[] => known.filter(agentFilter(filter)).map(({ address }) => address);

test.each<[string, AgentFilter, number[]]>([
  ['nothing asked is all', {}, [0, 1, 2, 3]],
  ['a node by name', { node: 'desktop' }, [1, 3]],
  ['a node by id', { node: 'id-of-laptop' }, [0]],
  ['a harness', { harness: 'claude' }, [1]],
  ['an owner', { owner: 'bob' }, [3]],
  ['those that can be called: not where the node has left', { availableOnly: true }, [0, 3]],
  ['all of several capabilities', { capabilities: ['review', 'go'] }, [0]],
  ['all of several labels, by their whole value', { labels: { team: 'web', tier: '1' } }, [3]],
  ['a label that only the prototype of an object has', { labels: { constructor: 'x' } }, []],
  ['all that is asked at once', { node: 'desktop', owner: 'ada', availableOnly: true }, []],
])('%s', (_name, filter, expected) => {
  expect(shown(filter)).toEqual(expected.map((index) => known[index]?.address));
});

describe('a pattern', () => {
  test.each<[string, number[]]>([
    ['fabric', [0, 1]],
    ['Fabric', [0, 1]],
    ['fab', []],
    ['*', [0, 1, 2, 3]],
    ['*r*', [0, 1, 3]],
    ['re?iew', [3]],
    ['@fabric@laptop#main', [0]],
    ['fabric@laptop/main', [0]],
    ['*@desktop/*', [1, 3]],
    ['*#feature*', [1]],
    ['', []],
  ])('%s', (pattern, expected) => {
    expect(shown({ pattern })).toEqual(expected.map((index) => known[index]?.address));
  });

  test('of many stars costs no more than its length times that of the text', () => {
    const [long] = [instance(`@${'a'.repeat(40)}@desktop#${'a'.repeat(200)}`)];
    const beganMs = performance.now();
    expect(agentFilter({ pattern: `${'*a'.repeat(2000)}#b` })(long)).toBe(false);
    expect(performance.now() - beganMs).toBeLessThan(1000);
  });
});
