/** Programs of the same user that speak to the control socket as no client would: not the protocol, half of it, too much of it, or one number for two things. */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { credentials } from '@grpc/grpc-js';
import { encodeInvoke } from '../../src/client/requests.ts';
import { ControlServiceClient, ControlServiceService } from '../../src/gen/beckon/v1/control.ts';
import type { SubmitRequest } from '../../src/gen/beckon/v1/invoke.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { requestOf } from '../support/asking.ts';
import { attack, toldByError } from '../support/attack.ts';
import type { Told, Verdict } from '../support/attack.ts';
import { AttackedMachine, theCall } from '../support/attacked-machine.ts';
import { waitFor } from '../support/wait-for.ts';

let machine: AttackedMachine;
const open: { destroy(): unknown }[] = [];
beforeAll(async () => {
  machine = await AttackedMachine.start();
}, 60_000);
afterAll(async () => {
  for (const each of open) each.destroy();
  await machine?.[Symbol.asyncDispose]();
});

const victim = () => machine.attacked();
const codes: readonly string[] = ['ok', 'cancelled', 'unknown', 'invalid', 'deadline', 'not_found', 'conflict', 'denied', 'overload', 'failed', 'conflict', 'invalid', 'unimplemented', 'internal', 'unavailable'];

/** @returns whether the node ended it */
function sent(bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(machine.victim.socketPath);
    open.push(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(true));
    socket.resume();
    socket.write(bytes);
    setTimeout(() => resolve(false), 3000).unref();
  });
}

/** One call by hand: its body, and whether there is more of it to come. */
function called(path: string, body: Uint8Array, isWhole: boolean): Promise<string | undefined> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(machine.victim.socketPath) });
  open.push(session);
  session.on('error', () => undefined);
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
  stream.on('error', () => undefined);
  stream.resume();
  const status = new Promise<string | undefined>((resolve) => {
    stream.on('response', (headers) => headers['grpc-status'] !== undefined && resolve(String(headers['grpc-status'])));
    stream.on('trailers', (headers) => resolve(String(headers['grpc-status'])));
    stream.once('close', () => resolve(undefined));
    if (!isWhole) setTimeout(() => resolve(undefined), 1000).unref();
  });
  if (isWhole) stream.end(body);
  else stream.write(body);
  return status;
}

function message(length: number, content: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, content]);
}

attack('bytes that are no HTTP/2, frames without end, and the protocol of others', {
  victim,
  act: async () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const frame = (length: number, type: number): Buffer => Buffer.from([length >> 16, (length >> 8) & 255, length & 255, type, 0, 0, 0, 0, 1]);
    const attempts = [Buffer.alloc(64 * 1024, 0xa5), Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'), Buffer.concat([preface, frame(0xffffff, 0), Buffer.alloc(1024)]), Buffer.concat([preface, frame(5, 4), Buffer.alloc(5)]), Buffer.concat([preface, frame(8, 0x1), Buffer.alloc(8, 0xff)])];
    return (await Promise.all(attempts.map(sent))).map((isEnded): Told => ({ code: isEnded ? 'cut' : 'internal' }));
  },
  refused: { code: 'cut' },
  logged: { none: 'who can open the socket is the user' },
  shows: 'each connection is ended, and no other notices',
});

attack('two hundred clients that each send half of a message of 20 MiB, or say that it has 4 GiB', {
  victim,
  act: async () => {
    const half = message(20 * 1024 * 1024 - 5, Buffer.alloc(8 * 1024 * 1024));
    const stalled = Array.from({ length: 200 }, () => called(ControlServiceService.invoke.path, half, false));
    const told = await Promise.all([called(ControlServiceService.invoke.path, message(0xffffffff, Buffer.alloc(1024)), false), called(ControlServiceService.getStatus.path, message(0xffffffff, Buffer.alloc(1024)), true)]);
    await Promise.all(stalled);
    // Beside them all else goes on.
    await machine.serves();
    return told.map((status): Told => ({ code: (codes[Number(status)] ?? 'cut') as Verdict, words: String(status) }));
  },
  refused: { code: ['overload', 'cut'] },
  logged: { none: 'who can open the socket is the user' },
  stores: theCall('the call that is served meanwhile'),
  // Six of the largest tasks have their place at once.
  growsMb: 256,
  shows: 'as many large messages are read as there is room for, the rest waits at its sender; one of 4 GiB is refused by what it says',
  timeoutMs: 60_000,
});

attack('submissions that give one number to two, a number that is in use, or ten thousand in a message', {
  victim,
  act: async () => {
    const invoke = encodeInvoke(requestOf('echo', 'x', { detach: true }));
    const of = (...numbers: readonly number[]): SubmitRequest => ({ submissions: numbers.map((number) => ({ number, invoke })) });
    const client = new ControlServiceClient(`unix:${machine.victim.socketPath}`, credentials.createInsecure());
    open.push({ destroy: () => client.close() });
    const submitted = async (request: SubmitRequest): Promise<void> => {
      const call = client.submit();
      call.write(request);
      try {
        for await (const _answer of call as AsyncIterable<unknown>) continue;
      } catch (error) {
        throw fromCall(error);
      }
    };
    return [await toldByError(submitted(of(1, 1))), await toldByError(submitted(of(...Array.from({ length: 10_000 }, (_, index) => index))))];
  },
  refused: { code: 'invalid' },
  logged: { none: 'who asked is told' },
  holds: async () => {
    await waitFor('nothing of it to be there', async () => (await machine.person.listFlights({ state: 'queued' }, { limit: 10 })).items.length === 0);
    expect((await machine.person.listFlights({}, { limit: 100 })).items.length).toBeLessThan(10);
  },
  shows: 'nothing of a message is taken in which a number could mean two',
});
