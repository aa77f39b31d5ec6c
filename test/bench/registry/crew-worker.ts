/** The thread behind `Crew`: nodes as `beckon up` makes them, and what their sockets carry. */
import { parentPort } from 'node:worker_threads';
import { runNode } from '../../../src/app/node.ts';
import type { RunningNode } from '../../../src/app/node.ts';
import { silentLog } from '../../support/temp-store.ts';
import type { Order, Report } from './crew.ts';
import { placeOf } from './founding.ts';
import type { Place } from './founding.ts';
import { SocketMeter } from './sockets.ts';
import type { Traffic } from './sockets.ts';

const meter = new SocketMeter();
const nodes = new Map<string, RunningNode>();
let sinceMark: () => Traffic = () => meter.sent();

async function start({ home, name, listen, gossipListen }: Place): Promise<void> {
  const env = { PATH: '/usr/bin:/bin', HOME: home };
  nodes.set(name, await runNode({ paths: placeOf(home), env, given: { listen: [listen], gossipListen, tailscale: 'off' }, version: '0.0.0-bench', pid: process.pid, log: silentLog }));
}

async function stop(name: string): Promise<void> {
  const node = nodes.get(name);
  nodes.delete(name);
  await node?.stop(true);
}

async function obey(order: Order): Promise<Traffic | undefined> {
  switch (order.type) {
    case 'start':
      await start(order.place);
      return undefined;
    case 'stop':
      await stop(order.name);
      return undefined;
    case 'gossipAt':
      meter.gossipAt(order.address);
      return undefined;
    case 'sent':
      return meter.sent();
    case 'connections':
      return meter.connections();
    case 'mark':
      sinceMark = meter.since();
      return undefined;
    case 'sinceMark':
      return sinceMark();
  }
}

async function take(order: Order): Promise<void> {
  const { id } = order;
  const report = await obey(order).then(
    (traffic): Report => (traffic === undefined ? { id } : { id, traffic }),
    (error: unknown): Report => ({ id, error: error instanceof Error ? error.message : String(error) }),
  );
  parentPort?.postMessage(report);
}

async function end(): Promise<void> {
  await Promise.allSettled([...nodes.keys()].map((name) => stop(name)));
  parentPort?.close();
}

// Without an order: it is over.
parentPort?.on('message', (order: Order | undefined) => void (order === undefined ? end() : take(order)));
