import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { agentIdOf } from '../../../src/domain/ids.ts';
import type { Endpoint } from '../../../src/domain/invocation.ts';
import type { Registration } from '../../../src/domain/registration.ts';
import type { MeshMembership } from '../../../src/app/membership.ts';
import { renameNode } from '../../../src/app/rename.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, openTempStore, Story } from '../../support/temp-store.ts';

test('the agents of a node that gets another name are found under it, and under no other', async () => {
  const nodeId = nodeIdFor(1);
  await using temp = await openTempStore(nodeId);
  const story = new Story();
  const clock = new FakeClock();
  const address = '@fabric@vm#main';
  const endpoint: Endpoint = {
    agentId: agentIdOf(story.ulid()), address, harness: 'command', cwd: '/', argv: ['cat'], env: ['A=b'], path: '/bin', permissions: 'ask', isolate: false,
    checkout: { top: '/work', entry: '/repository/.git/worktrees/work', repository: '/repository/.git', device: 1 },
  };
  const registration: Registration = {
    address, nodeId, harness: 'command', capabilities: [], labels: { team: 'web' }, visibility: 'mesh', description: '', isDefault: true, available: true,
  };
  await temp.store.write.addAgent({ stamp: story.stamp(), endpoint, registration });
  const rename = (): Promise<boolean> =>
    renameNode({
      store: temp.store,
      membership: {} as MeshMembership,
      nodeKey: { nodeId } as NodeKey,
      chronicler: new Chronicler(clock),
      to: 'laptop',
    });
  await rename();
  await rename();
  const renamed = '@fabric@laptop#main';
  expect(temp.store.read.endpoints()).toEqual([{ ...endpoint, address: renamed }]);
  expect(temp.store.read.ownRegistrations()).toEqual([{ ...registration, address: renamed }]);
});
