/** nats-server, when it is on PATH: JetStream's publish with acknowledgement, from a file store, as many on their way as `localAccept` has. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Comparison, Compared } from '../bench.ts';
import { ms, rounded, spreadOf } from '../figures.ts';
import { freePort } from '../../support/cluster.ts';
import { waitFor } from '../../support/wait-for.ts';
import { NatsConnection } from './nats-connection.ts';

const inFlight = 64;
/** As long as the task of `localAccept`. */
const content = 'x'.repeat(200);
const warmMs = 1000;
const countedMs = 4000;

/** `sync_interval` of its file store: by default it syncs every two minutes, so that what it acknowledged may be lost with the power. */
const modes = [
  { name: 'always', what: 'each synced before it is acknowledged', config: 'sync_interval: always' },
  { name: 'default', what: 'synced every two minutes', config: '' },
] as const;

interface Measured {
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function publish(connection: NatsConnection): Promise<Measured> {
  const sentMs = new Map<string, number>();
  const tookMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + warmMs + countedMs;
  const over = Promise.withResolvers<void>();
  let count = 0;
  const send = (): void => {
    count += 1;
    const replyTo = `_INBOX.bench.${count}`;
    sentMs.set(replyTo, performance.now());
    connection.publish('bench.work', replyTo, content);
  };
  for (let at = 0; at < inFlight; at += 1) send();
  const take = ({ subject, content: answer }: { readonly subject: string; readonly content: string }): void => {
    if (!answer.includes('"seq"')) over.reject(new Error(`not stored: ${answer}`));
    const nowMs = performance.now();
    if (nowMs >= startMs + warmMs && nowMs < endMs) tookMs.push(nowMs - (sentMs.get(subject) ?? Number.NaN));
    sentMs.delete(subject);
    if (nowMs < endMs) send();
    else if (sentMs.size === 0) over.resolve();
  };
  await connection.during(over.promise, take);
  const { p50, p99 } = spreadOf(tookMs);
  return { rps: (tookMs.length * 1000) / countedMs, p50Ms: p50, p99Ms: p99 };
}

async function measure(config: string, signal: AbortSignal): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), 'bkn-nats-'));
  const port = await freePort();
  const file = join(directory, 'server.conf');
  writeFileSync(file, `listen: "127.0.0.1:${port}"\njetstream {\n  store_dir: ${JSON.stringify(join(directory, 'store'))}\n  ${config}\n}\n`);
  const server = spawn('nats-server', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4000)));
  try {
    using connection = await waitFor(`nats-server to listen; it said ${said}`, () => NatsConnection.open(port, '_INBOX.bench'), { timeoutMs: 15_000, pollMs: 50 });
    await connection.ask('$JS.API.STREAM.CREATE.BENCH', '_INBOX.bench.create', JSON.stringify({ name: 'BENCH', subjects: ['bench.>'], storage: 'file', retention: 'limits', num_replicas: 1 }));
    signal.throwIfAborted();
    return await publish(connection);
  } finally {
    const ended = server.exitCode === null ? once(server, 'exit') : undefined;
    server.kill('SIGKILL');
    await ended;
    // Its own threads may still be at a file that was open.
    await delay(50);
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

export const nats: Comparison = {
  program: 'nats-server',
  beside: 'localAccept',
  version: () => spawnSync('nats-server', ['--version'], { encoding: 'utf8' }).stdout.trim(),
  async run(signal): Promise<readonly Compared[]> {
    const all: Compared[] = [];
    for (const { name, what, config } of modes) {
      const { rps, p50Ms, p99Ms } = await measure(config, signal);
      all.push({ name, what, rps, figure: `${rounded(rps)}/s, p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}` });
    }
    return all;
  },
};
