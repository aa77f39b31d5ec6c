import type { AnyMessage } from '@agentclientprotocol/sdk';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Wire } from '../../../../src/harness/acp/wire.ts';

function wired(onUpdate: (params: unknown) => Promise<void> = async () => undefined) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const stray: string[] = [];
  const wire = new Wire({ stdin, stdout, onUpdate, onStray: (line) => void stray.push(Buffer.from(line).toString()) });
  const over = wire.run();
  const received: AnyMessage[] = [];
  /** Why the stream failed, once it is over; undefined when it ended. */
  const reading = (async (): Promise<unknown> => {
    try {
      for await (const message of wire.stream.readable as ReadableStream<AnyMessage> & AsyncIterable<AnyMessage>) received.push(message);
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  const writer = wire.stream.writable.getWriter();
  const say = (...messages: unknown[]): boolean => stdout.write(messages.map((message) => `${typeof message === 'string' ? message : JSON.stringify(message)}\n`).join(''));
  return { wire, stdin, stdout, stray, received, reading, over, writer, say };
}

const update = (params: unknown) => ({ jsonrpc: '2.0', method: 'session/update', params });
const request = (id: number) => ({ jsonrpc: '2.0', id, method: 'session/request_permission', params: {} });

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

test('reports are taken one at a time, in order, before what came behind them, and no faster than they are taken', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const taken: unknown[] = [];
  const { say, received, writer } = wired((params) => {
    taken.push(params);
    return gates[taken.length - 1]?.promise ?? Promise.resolve();
  });
  await writer.write({ jsonrpc: '2.0', id: 7, method: 'session/prompt' });
  say(update(1), update(2), update(3), { jsonrpc: '2.0', id: 7, result: {} });
  await turns(5);
  expect([taken, received]).toEqual([[1], []]);
  gates[0]?.resolve();
  await turns(5);
  expect([taken, received]).toEqual([[1, 2], []]);
  gates[1]?.resolve();
  gates[2]?.resolve();
  await turns(5);
  expect([taken, received]).toEqual([[1, 2, 3], [{ jsonrpc: '2.0', id: 7, result: {} }]]);
});

test('while nobody takes a report the agent’s pipe fills up', async () => {
  const { say } = wired(() => new Promise(() => undefined));
  const megabyte = 'x'.repeat(1_000_000);
  expect(say(update(1))).toBe(true);
  await turns(3);
  expect(say(update(megabyte))).toBe(false);
  await turns(20);
  expect(say('')).toBe(false);
});

test('32 requests are open at most: the next comes when one is answered', async () => {
  const { say, received, writer } = wired();
  say(...Array.from({ length: 100 }, (_, id) => request(id)));
  await turns(5);
  expect(received).toHaveLength(32);
  await writer.write({ jsonrpc: '2.0', id: 0, result: {} });
  await turns(5);
  expect(received).toHaveLength(33);
});

test('closing does not wait for an answer', async () => {
  const { say, wire, over } = wired();
  say(...Array.from({ length: 100 }, (_, id) => request(id)));
  await turns(5);
  wire.close();
  await over;
});

test('answers are handed on once, and only to what was asked', async () => {
  const { say, received, writer } = wired();
  await writer.write({ jsonrpc: '2.0', id: 1, method: 'initialize' });
  const answer = { jsonrpc: '2.0', id: 1, result: {} };
  say({ ...answer, id: 2 }, { ...answer, id: '1' }, answer, answer);
  await turns(5);
  expect(received).toEqual([answer]);
});

test('what is no message is told apart, and too much of it ends the connection', async () => {
  const { say, stray, received, reading, over } = wired();
  say('hello', '[]', '{"jsonrpc":"1.0","id":1,"method":"x"}', '{"jsonrpc":"2.0","id":{},"method":"x"}', '{"jsonrpc":"2.0","id":1}', '{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}', '');
  await turns(5);
  expect([stray.length, received]).toEqual([6, []]);
  for (let line = 0; line < 300; line += 1) say('x'.repeat(1000));
  await over;
  expect(await reading).toMatchObject({ code: 'incompatible' });
});

test('noise between messages is borne, however much it comes to', async () => {
  const { say, received } = wired();
  for (let line = 0; line < 30; line += 1) {
    say('x'.repeat(100_000), { jsonrpc: '2.0', method: '$/cancel_request', params: { requestId: line } });
    await turns(5);
  }
  expect(received).toHaveLength(30);
});

test('the end of the pipe is the end of the stream; a broken pipe too', async () => {
  for (const end of [(pipe: PassThrough) => pipe.end(), (pipe: PassThrough) => pipe.destroy(Object.assign(new Error('gone'), { code: 'EIO' }))]) {
    const { stdout, over, reading, say, received } = wired();
    say(request(1));
    await turns(5);
    end(stdout);
    await over;
    expect(await reading).toBeUndefined();
    expect(received).toHaveLength(1);
  }
});

test('an error of who takes the reports ends the connection with it', async () => {
  const { say, over, reading } = wired(() => Promise.reject(new Error('disk full')));
  say(update(1));
  await over;
  expect(await reading).toEqual(new Error('disk full'));
});
