/**
 * A client that keeps a number of items on their way, a process of its own: `node load.ts KIND SOCKET [ADDRESS…]`. Each line of
 * stdin, JSON of a `Round`, is one measurement; each line of stdout, JSON of a `Measured`, what came of it.
 */
import { Client, credentials } from '@grpc/grpc-js';
import { createInterface } from 'node:readline';
import { connect } from '../../../src/client/index.ts';
import type { Submission } from '../../../src/client/index.ts';
import { spreadOf } from '../figures.ts';

export interface Round {
  readonly inFlight: number;
  readonly seconds: number;
}

export interface Measured {
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of this process, for each item, µs. */
  readonly clientCpuUs: number;
}

const [, , kind = '', socketPath = '', ...addresses] = process.argv;
/** Of a short request to an agent. */
const taskBytes = 200;
const task = new Uint8Array(taskBytes).fill(120);

/** Answered items with how long each took, as long as `isOver` says no. */
type Sender = (inFlight: number, isOver: () => boolean, answered: (tookMs: number) => void) => Promise<void>;

async function floorSender(): Promise<Sender> {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  const raw = (bytes: Buffer): Buffer => bytes;
  return (inFlight, isOver, answered) => new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest('/bench.Floor/Accept', raw, raw);
    const sentMs = new Map<number, number>();
    let count = 0;
    const send = (): void => {
      count += 1;
      const content = Buffer.alloc(taskBytes + 56, 120);
      content.writeUInt32BE(count);
      sentMs.set(count, performance.now());
      call.write(content);
    };
    call.on('data', (answer: Buffer) => {
      const number = answer.readUInt32BE();
      answered(performance.now() - (sentMs.get(number) ?? Number.NaN));
      sentMs.delete(number);
      if (!isOver()) send();
      else if (sentMs.size === 0) call.end();
    });
    call.on('end', resolve);
    call.on('error', reject);
    for (let at = 0; at < inFlight; at += 1) send();
  });
}

async function submitSender(): Promise<Sender> {
  const beckon = await connect({ socketPath });
  let turn = 0;
  return async (inFlight, isOver, answered) => {
    function* submissions(): Generator<Submission & { readonly sentMs: number }> {
      while (!isOver()) {
        turn += 1;
        yield { address: addresses[turn % addresses.length] ?? '', task, sentMs: performance.now() };
      }
    }
    for await (const { submission, error } of beckon.submit(submissions(), { inFlight })) {
      if (error !== undefined) throw error;
      answered(performance.now() - submission.sentMs);
    }
  };
}

async function measure(send: Sender, { inFlight, seconds }: Round): Promise<Measured> {
  const tookMs: number[] = [];
  const [cpu, startMs] = [process.cpuUsage(), performance.now()];
  const endMs = startMs + seconds * 1000;
  await send(inFlight, () => performance.now() >= endMs, (each) => tookMs.push(each));
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const { p50, p99 } = spreadOf(tookMs);
  return { rps: (tookMs.length / elapsedMs) * 1000, p50Ms: p50, p99Ms: p99, clientCpuUs: (user + system) / tookMs.length };
}

const send = await (kind === 'floor' ? floorSender() : submitSender());
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(await measure(send, JSON.parse(line) as Round))}\n`);
process.exit(0);
