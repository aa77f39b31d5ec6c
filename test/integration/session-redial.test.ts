import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect, test } from 'vitest';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { fastClock, TestNode } from './session-fixture.ts';

test('a try that is answered only after it was given up does not keep its node from being dialled again', async () => {
  await using mesh = await testMesh();
  await using laptop = await new TestNode(await mesh.member('laptop')).start();
  // A gate in front of the laptop: what was dialled while it was shut gets through when it opens, as late as after a cut cable.
  const waiting: Socket[] = [];
  let isOpen = false;
  const join = (socket: Socket): void => {
    const onward = connect(parseHostPort(laptop.address));
    for (const end of [socket, onward]) end.on('error', () => end.destroy());
    socket.pipe(onward).pipe(socket);
  };
  const gate = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    if (isOpen) join(socket);
    else waiting.push(socket);
  });
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
  await using desktop = await new TestNode(await mesh.member('desktop'), { clock: fastClock(), seeds: [`127.0.0.1:${(gate.address() as AddressInfo).port}`] }).start();
  await waitFor('a try to be given up and another to begin', () => waiting.length >= 2);
  for (const socket of waiting) join(socket);
  isOpen = true;
  expect((await desktop.linkTo(laptop)).peer.name).toBe('laptop');
  gate.close();
});

test('a try that was given up leaves no connection behind, though nobody ever answers it', async () => {
  await using mesh = await testMesh();
  // As a process that stands still: its kernel takes connections, and nobody reads from them.
  const [taken, ended]: [Socket[], Socket[]] = [[], []];
  const still = createServer((socket) => {
    taken.push(socket.resume());
    socket.on('error', () => undefined);
    socket.on('close', () => ended.push(socket));
  });
  await new Promise<void>((resolve) => still.listen(0, '127.0.0.1', resolve));
  await using _desktop = await new TestNode(await mesh.member('desktop'), { clock: fastClock(), seeds: [`127.0.0.1:${(still.address() as AddressInfo).port}`] }).start();
  await waitFor('three tries', () => taken.length >= 3, { timeoutMs: 15_000 });
  await waitFor('those that were given up to be closed', () => ended.length >= taken.length - 1);
  still.close();
});
