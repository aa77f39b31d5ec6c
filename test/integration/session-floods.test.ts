/** A member that says too much, asks too much, or hears nothing, on a session that is otherwise as it should be. */
import { expect, test } from 'vitest';
import { GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { systemClock, testMesh } from '../contract/trust/mesh-fixture.ts';
import type { TestMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { HandMade } from './hand-made.ts';
import { TestNode } from './session-fixture.ts';

const heartbeat = (number: number) => ({ $case: 'heartbeat', value: { number, digest: Buffer.alloc(0), gossips: false, holds: true } }) as const;

async function linked(mesh: TestMesh): Promise<{ readonly node: TestNode; readonly evil: HandMade }> {
  const node = await new TestNode(await mesh.member('desktop'), { clock: systemClock }).start();
  const evil = new HandMade(await mesh.member('evil'), node.address);
  evil.hello();
  await waitFor('the greeting', () => evil.frames.find(({ $case }) => $case === 'hello'));
  evil.nameData();
  await waitFor('the link', () => node.ups.length === 1);
  return { node, evil };
}

async function anotherIsServed(mesh: TestMesh, node: TestNode): Promise<void> {
  await using laptop = await new TestNode(await mesh.member('laptop'), { clock: systemClock, seeds: [node.address] }).start();
  const link = await laptop.linkTo(node);
  node.onQuery = () => Promise.resolve({ type: 'ping' });
  await expect(link.ask({ type: 'ping' }, 3000)).resolves.toEqual({ type: 'ping' });
}

test('heartbeats without end are answered until they are too many: the session ends, saying so, once', async () => {
  await using mesh = await testMesh();
  const { node, evil } = await linked(mesh);
  await using _node = node;
  using _evil = evil;
  for (let number = 1; number <= 3_000; number += 100) evil.send(...Array.from({ length: 100 }, (_, index) => heartbeat(number + index)));
  expect(await evil.goodbye()).toMatchObject({ reason: GoodbyeReason.PROTOCOL, detail: expect.stringContaining('more than 50 heartbeats a second') });
  expect(evil.frames.filter(({ $case }) => $case === 'heartbeatReply').length).toBeLessThan(600);
  expect(node.overLimits).toEqual(['session_heartbeats']);
  expect(node.logged.filter(({ level }) => level === 'warn')).toMatchObject([{ message: expect.stringContaining('the session with evil broke the protocol') }]);
  await anotherIsServed(mesh, node);
});

test('questions are answered sixteen at once, and all others are told so; each is counted', async () => {
  await using mesh = await testMesh();
  const { node, evil } = await linked(mesh);
  await using _node = node;
  using _evil = evil;
  let asked = 0;
  node.onQuery = () => {
    asked += 1;
    return new Promise(() => undefined);
  };
  evil.send(...Array.from({ length: 300 }, (_, index) => ({ $case: 'query', value: { number: index + 1, query: { $case: 'ping', value: {} } } }) as const));
  const refused = await waitFor('the refusals', () => {
    const answers = evil.frames.flatMap((frame) => (frame.$case === 'answer' ? [frame.value] : []));
    return answers.length >= 284 ? answers : undefined;
  });
  expect(refused.map(({ error }) => error?.message)).toEqual(Array.from({ length: 284 }, () => 'too many questions at once'));
  expect([asked, node.overLimits.length, new Set(node.overLimits)]).toEqual([16, 284, new Set(['session_questions'])]);
  await anotherIsServed(mesh, node);
});

test('who reads nothing has its session ended once 64 MiB wait for it', async () => {
  await using mesh = await testMesh();
  const { node, evil } = await linked(mesh);
  await using _node = node;
  using _evil = evil;
  evil.control.pause();
  const [link] = node.ups;
  const leaf = new Uint8Array(3 * 1024 * 1024);
  let sent = 0;
  for (; sent < 60 && link?.isUp === true; sent += 1) link.send({ type: 'roster', members: [{ chain: { leaf, issuer: new Uint8Array() }, addresses: [] }] });
  expect(link?.isUp).toBe(false);
  expect(sent).toBeLessThan(30);
  expect(node.overLimits).toEqual(['session_backlog']);
  await anotherIsServed(mesh, node);
});
