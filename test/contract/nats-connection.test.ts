/** The connection that benches compare with: against a server that cuts its words anywhere. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect, test } from 'vitest';
import { NatsConnection } from '../bench/compare/nats-connection.ts';
import { waitFor } from '../support/wait-for.ts';

interface Server extends AsyncDisposable {
  readonly port: number;
  readonly peer: Promise<Socket>;
  said(): string;
}

async function listening(): Promise<Server> {
  const server = createServer();
  let said = '';
  const peer = once(server, 'connection').then(([socket]) => {
    (socket as Socket).on('data', (chunk: Buffer) => (said += chunk.toString()));
    return socket as Socket;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    peer,
    said: () => said,
    async [Symbol.asyncDispose]() {
      (await peer).destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('acknowledgements are read whole however they are cut, and what is said meanwhile goes out after them', async () => {
  await using server = await listening();
  using connection = await NatsConnection.open(server.port, '_INBOX.b');
  const peer = await server.peer;
  const taken: string[] = [];
  const all = Promise.withResolvers<void>();
  connection.publish('bench.work', '_INBOX.b.1', 'é');
  const done = connection.during(all.promise, ({ subject, content }) => {
    taken.push(`${subject} ${content}`);
    connection.publish('bench.work', '_INBOX.b.next', '');
    if (taken.length === 2) all.resolve();
  });
  for (const byte of Buffer.from('INFO {}\r\nPING\r\nMSG _INBOX.b.1 1 13\r\n{"seq": 1}\r\n \r\nMSG _INBOX.b.2 1 2\r\nok\r\n')) {
    peer.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  expect(taken).toEqual(['_INBOX.b.1 {"seq": 1}\r\n ', '_INBOX.b.2 ok']);
  await waitFor('both answers to go out', () => server.said().endsWith('PUB bench.work _INBOX.b.next 0\r\n\r\nPUB bench.work _INBOX.b.next 0\r\n\r\n'));
  expect(server.said()).toContain('SUB _INBOX.b.* 1\r\nPUB bench.work _INBOX.b.1 2\r\né\r\nPONG\r\n');
});

test('a server’s error ends a question with its words', async () => {
  await using server = await listening();
  using connection = await NatsConnection.open(server.port, '_INBOX.b');
  const peer = await server.peer;
  const asked = connection.ask('$JS.API.STREAM.CREATE.B', '_INBOX.b.create', '{}');
  const answer = JSON.stringify({ error: { description: 'no room' } });
  peer.write(`MSG _INBOX.b.create 1 ${answer.length}\r\n${answer}\r\n`);
  await expect(asked).rejects.toThrow('no room');
});

test('a connection that is lost while acknowledgements are waited for says so, with the server’s last word', async () => {
  await using server = await listening();
  using connection = await NatsConnection.open(server.port, '_INBOX.b');
  const peer = await server.peer;
  const done = connection.during(new Promise<void>(() => undefined), () => undefined);
  peer.write("-ERR 'Maximum Payload Violation'\r\n");
  await expect(done).rejects.toThrow('Maximum Payload Violation');
});
