import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { holdPorts } from '../../../src/app/held-port.ts';

test('ports are held until they are released, and answer nobody', async () => {
  const held = await holdPorts([{ host: '127.0.0.1', port: 0 }, { host: '127.0.0.1', port: 0 }]);
  const [first, second] = held.addresses;
  expect(first?.port).not.toBe(second?.port);
  await expect(holdPorts([{ host: '127.0.0.1', port: first?.port ?? 0 }])).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/127.0.0.1:\d+ is taken/) });
  const socket = connect(first?.port ?? 0, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'close');
  await held.release();
  await held.release();
  await (await holdPorts([{ host: '127.0.0.1', port: first?.port ?? 0 }])).release();
});

test('when one of them is taken none is held', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const free = await holdPorts([{ host: '127.0.0.1', port: 0 }]);
  const [{ port: other } = { port: 0 }] = free.addresses;
  await free.release();
  await expect(holdPorts([{ host: '127.0.0.1', port: other }, { host: '127.0.0.1', port }])).rejects.toMatchObject({ code: 'conflict' });
  await (await holdPorts([{ host: '127.0.0.1', port: other }])).release();
  server.close();
});

test('an address that is not this machine’s is named', async () => {
  await expect(holdPorts([{ host: '192.0.2.1', port: 0 }])).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/192.0.2.1:0.*no such address/) });
});
