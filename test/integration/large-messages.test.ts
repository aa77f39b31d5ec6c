import { expect, test } from 'vitest';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { HandMade } from './hand-made.ts';
import { TestNode } from './session-fixture.ts';

test('a message that is larger than any may be ends its call, and is told of once', async () => {
  await using authority = await testMesh();
  await using node = await new TestNode(await authority.member('desktop')).start();
  using peer = new HandMade(await authority.member('evil'), node.address);
  peer.hello();
  await waitFor('its hello', () => peer.frames.some(({ $case }) => $case === 'hello'));
  peer.control.write(Buffer.alloc(5 * 1024 * 1024));
  const line = await waitFor('the line', () => node.logged.find(({ message }) => message === 'a message of a peer was larger than any may be'));
  expect(line).toMatchObject({ level: 'warn', fields: { peer: 'evil', why: expect.stringContaining('larger than max') } });
  await waitFor('the call to end', () => peer.isOver);
  expect(node.logged.filter(({ message }) => message === line.message)).toHaveLength(1);
});
