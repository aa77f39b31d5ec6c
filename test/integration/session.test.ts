import { describe, expect, test } from 'vitest';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { forwardOf, newInvocationId, someHlc, TestNode } from './session-fixture.ts';

describe('a session', () => {
  test('comes up between two members and carries messages both ways, in order, under the name of the certificate', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    const back = await desktop.linkTo(laptop);
    const ids = Array.from({ length: 200 }, newInvocationId);
    for (const invocationId of ids) link.send({ type: 'cancel', invocationId, hlc: someHlc });
    for (const invocationId of ids) back.send({ type: 'event_ack', invocationId, seq: 3, unknown: false });
    await waitFor('all to arrive', () => desktop.messages.length === 200 && laptop.messages.length === 200);
    expect(desktop.messages).toEqual(ids.map((invocationId) => ({ type: 'cancel', invocationId, hlc: someHlc })));
    expect(laptop.messages).toEqual(ids.map((invocationId) => ({ type: 'event_ack', invocationId, seq: 3, unknown: false })));
    expect(new Set(desktop.senders.map(({ name }) => name))).toEqual(new Set(['laptop']));
    expect(link.peer.nodeId).toBe(desktop.identity.nodeId);
    expect(laptop.mesh.peers()).toMatchObject([{ name: 'desktop', state: 'alive', path: 'outbound', source: 'seed', address: desktop.address }]);
    expect(desktop.mesh.peers()).toMatchObject([{ name: 'laptop', state: 'alive', path: 'inbound', source: 'inbound' }]);
  });

  test('a task of 16 MiB arrives whole, and what is said about it later arrives after it', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    const text = Uint8Array.from({ length: 12 * 1024 * 1024 }, (_, index) => (index * 31) % 251);
    const file = Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, index) => (index * 17) % 241);
    const forward = forwardOf(laptop, desktop, text, [{ name: 'notes.txt', bytes: file }]);
    const invocationId = forward.invocation.id;
    const other = newInvocationId();
    link.send(forward);
    link.send({ type: 'cancel', invocationId, hlc: someHlc });
    link.send({ type: 'cancel', invocationId: other, hlc: someHlc });
    await waitFor('all to arrive', () => desktop.messages.length === 3, { timeoutMs: 15_000 });
    const order = desktop.messages.map((message) => ('invocationId' in message ? [message.type, message.invocationId] : [message.type]));
    expect(order).toEqual([['cancel', other], ['forward'], ['cancel', invocationId]]);
    const arrived = desktop.messages[1];
    if (arrived?.type !== 'forward') throw new Error('no forward');
    expect(arrived.invocation).toEqual(forward.invocation);
    expect(Buffer.compare(arrived.task.text, text)).toBe(0);
    expect(arrived.task.files.map(({ name }) => name)).toEqual(['notes.txt']);
    expect(Buffer.compare(arrived.task.files[0]?.bytes ?? new Uint8Array(), file)).toBe(0);
  });

  test('a stopped node says goodbye: its peer calls it unreachable at once, and alive when it is back', async () => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    const desktop = await new TestNode(identity).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    await laptop.linkTo(desktop);
    await desktop[Symbol.asyncDispose]();
    await laptop.becomes(desktop, 'unreachable', 1000);
    expect(laptop.downs).toHaveLength(1);
    await using _again = await new TestNode(identity, { epoch: 2, listen: Number(desktop.address.split(':')[1]) }).start();
    await laptop.becomes(desktop, 'alive', 2000);
    expect(laptop.ups).toHaveLength(2);
  });

  test('ends when the node leaves its mesh, and comes back when it is a member again, without a restart', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    await laptop.linkTo(desktop);
    laptop.mesh.setIdentity(undefined);
    expect(laptop.mesh.links()).toEqual([]);
    await waitFor('desktop to know', () => desktop.mesh.links().length === 0);
    laptop.mesh.setIdentity(laptop.identity);
    await laptop.linkTo(desktop);
  });

  test('goes by the name that its peer was given since it began', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const back = await (await laptop.linkTo(desktop), desktop.linkTo(laptop));
    desktop.mesh.addMembers([{ identity: { nodeId: laptop.identity.nodeId, name: 'studio' }, addresses: [] }]);
    expect(back.isUp).toBe(true);
    expect(back.peer).toMatchObject({ name: 'studio', nodeId: laptop.identity.nodeId });
    (await laptop.linkTo(desktop)).send({ type: 'cancel', invocationId: newInvocationId(), hlc: someHlc });
    await waitFor('it to arrive', () => desktop.senders[0]?.name === 'studio');
  });

  test('does not come up with a member that does not take this node’s certificate, and says so in words', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop'), { refusal: 'its root was retired' }).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    laptop.mesh.addMembers([{ identity: desktop.identity, addresses: [desktop.address] }]);
    const why = (): string => laptop.mesh.peers().find(({ nodeId }) => nodeId === desktop.identity.nodeId)?.why ?? '';
    await waitFor('a try', () => why() !== '' && why() !== 'not reached yet');
    expect(why()).toBe(`desktop ends the connection at ${desktop.address} before a word: it does not take this node’s certificate, or its network broke off; beckon logs --level warn there says which`);
  });

  test('carries a change of 2 MB and a roster whole', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    const record = (index: number) => ({ payload: new Uint8Array(400).fill(index % 256), signature: new Uint8Array(64).fill(1) });
    const change = { head: record(0), records: Array.from({ length: 4000 }, (_, index) => record(index)), gone: ['0123456789abcdef'] };
    link.send({ type: 'registry_change', change });
    link.send({ type: 'roster', members: [{ chain: { leaf: Uint8Array.of(1), issuer: Uint8Array.of(2) }, addresses: ['laptop:7423'] }] });
    await waitFor('both', () => desktop.messages.length === 2);
    expect(desktop.messages[0]).toEqual({ type: 'registry_change', change });
    expect(desktop.messages[1]?.type).toBe('roster');
  });
});
