/** Where the port is: real sockets on the many loopback addresses that Linux has, a tailnet that the test plays. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planListening } from '../../../src/app/listen.ts';
import { Listening } from '../../../src/app/listening.ts';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import type { HostPort } from '../../../src/domain/host-port.ts';
import type { TailnetIdentity, TailnetView } from '../../../src/domain/tailnet.ts';
import { Front } from '../../../src/trust/front.ts';
import { testMesh } from '../trust/mesh-fixture.ts';
import { because } from '../../support/programs.ts';
import { silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const up = (addresses: readonly string[], isUserspace = false): TailnetView => ({ kind: 'up', status: { version: '', state: 'Running', isUserspace, addresses, dnsSuffix: 'tn.test', peers: [] } });
const down = (state: 'Starting' | 'Stopped'): TailnetView => ({ kind: 'down', state, why: `the tailnet is not up: tailscaled is in state ${state}` });
/** Others may run tests here too: addresses and a port of this process alone. */
const host = (last: number): string => `127.${100 + (process.pid % 100)}.7.${last}`;
const port = 20_000 + (process.pid % 30_000);

const noLoopbacks = process.platform === 'linux' ? undefined : 'only Linux has all of 127.0.0.0/8 for loopback';

class PlayedTailnet {
  view: TailnetView;
  readonly known = new Set<number>();
  readonly #listeners = new Set<() => void>();

  constructor(view: TailnetView) {
    this.view = view;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  change(view: TailnetView): void {
    this.view = view;
    for (const listener of this.#listeners) listener();
  }

  whois({ port: remotePort }: HostPort): Promise<TailnetIdentity | undefined> {
    if (this.view.kind !== 'up') return Promise.reject(new Error('not up'));
    return Promise.resolve(this.known.has(remotePort) ? ({ id: '2' } as TailnetIdentity) : undefined);
  }
}

let refused: string[];
let strangers: number;
/** Where the node was when it said that it had moved. */
let moves: string[];
const open: { stop(): Promise<void> }[] = [];
beforeEach(() => {
  refused = [];
  strangers = 0;
  moves = [];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

async function listening(tailnet: PlayedTailnet | undefined, fixed?: readonly HostPort[]) {
  const mesh = await testMesh();
  const front: Front = new Front({
    judge: () => undefined,
    onMember: (socket) => socket.destroy(),
    now: () => performance.now(),
    onStranger: (socket) => {
      strangers += 1;
      socket.destroy();
    },
    onRefused: ({ why }) => refused.push(why),
    vet: (ends) => part.vet(ends),
  });
  front.setIdentity(await mesh.member('laptop'));
  const part: Listening = new Listening({ front, fixed, tailnet, onMoved: () => void moves.push(shown(part).join()), clock: createSystemClock(), log: silentLog, port });
  open.push(part);
  return { part, front };
}

const shown = (part: Listening): readonly string[] => part.addresses().map((each) => `${each.host}:${each.port}`);

function visit(to: string): Promise<{ readonly socket: Socket; readonly port: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to, port });
    socket.once('error', reject);
    socket.once('connect', () => resolve({ socket, port: socket.localPort ?? 0 }));
  });
}

describe('the plan', () => {
  test('is the tailnet when it is up, this machine alone when not, with the reason', () => {
    expect(planListening(up(['100.64.0.1', 'fd7a:115c:a1e0::1']))).toEqual({ bind: [{ host: '100.64.0.1', port: 7423 }, { host: 'fd7a:115c:a1e0::1', port: 7423 }], isGuarded: false });
    expect(planListening(up(['100.64.0.1'], true))).toEqual({ bind: [{ host: '127.0.0.1', port: 7423 }], reachable: [{ host: '100.64.0.1', port: 7423 }], isGuarded: true });
    expect(planListening(undefined)).toMatchObject({ bind: [{ host: '127.0.0.1', port: 7423 }], why: 'Tailscale is off' });
    expect(planListening(down('Stopped'))).toMatchObject({ bind: [{ host: '127.0.0.1', port: 7423 }], why: 'the tailnet is not up: tailscaled is in state Stopped' });
    expect(planListening({ kind: 'absent', why: 'no tailscaled here' }).why).toBe('no tailscaled here');
    expect(planListening(up([])).bind).toEqual([{ host: '127.0.0.1', port: 7423 }]);
  });
});

describe.skipIf(noLoopbacks !== undefined)(`the network port${because(noLoopbacks)}`, () => {
  test('is on each address of the tailnet and nowhere else', async () => {
    const { part } = await listening(new PlayedTailnet(up([host(1), host(2)])));
    await part.start();
    expect(shown(part)).toEqual([`${host(1)}:${port}`, `${host(2)}:${port}`]);
    expect(part.note()).toMatch(/^it listens on this machine only/);
    await expect(visit(host(3))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('moves when the addresses change, and stays when the tailnet is only gone for a while', async () => {
    const tailnet = new PlayedTailnet(up([host(1)]));
    const { part } = await listening(tailnet);
    await part.start();
    const { socket } = await visit(host(1));
    tailnet.change(up([host(2)]));
    await waitFor('the move', () => shown(part).join() === `${host(2)}:${port}`);
    expect(socket.destroyed, 'a connection stays').toBe(false);
    await expect(visit(host(1))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    tailnet.change(down('Stopped'));
    tailnet.change({ kind: 'absent', why: 'gone' });
    tailnet.change(up([host(2)]));
    expect(shown(part)).toEqual([`${host(2)}:${port}`]);
    expect(moves, 'said once').toEqual([`${host(2)}:${port}`]);
    socket.destroy();
  });

  test('waits at boot for a tailnet that is starting, and for addresses that the machine does not have yet', async () => {
    const tailnet = new PlayedTailnet(down('Starting'));
    const { part } = await listening(tailnet);
    const started = part.start();
    // Documentation addresses: no machine has them.
    tailnet.change(up(['192.0.2.1']));
    let isStarted = false;
    void started.then(() => (isStarted = true));
    await waitFor('a first try', () => true);
    expect(isStarted).toBe(false);
    tailnet.change(up([host(4)]));
    await started;
    expect(shown(part)).toEqual([`${host(4)}:${port}`]);
  });

  test('is on what there is when one of the addresses can not be had', async () => {
    const { part } = await listening(new PlayedTailnet(up(['192.0.2.1', host(5)])));
    await part.start();
    expect(shown(part)).toEqual([`${host(5)}:${port}`]);
  });

  test('that another program holds ends the start with the reason', async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(port, host(6), resolve));
    const { part } = await listening(new PlayedTailnet(up([host(6)])));
    await expect(part.start()).rejects.toMatchObject({ code: 'conflict', message: `${host(6)}:${port} is taken by another program` });
    await new Promise((resolve) => other.close(resolve));
  });

  test('is on this machine alone without a tailnet, says why, and moves to the tailnet when it is up', async () => {
    const tailnet = new PlayedTailnet(down('Stopped'));
    const { part } = await listening(tailnet);
    await part.start();
    expect(shown(part)).toEqual([`127.0.0.1:${port}`]);
    expect(part.note()).toBe('it listens on this machine only: the tailnet is not up: tailscaled is in state Stopped; start Tailscale, and it moves there by itself, or beckon down, then beckon up --detach --listen ADDRESS:7423');
    tailnet.change(up([host(7)]));
    await waitFor('the move', () => shown(part).join() === `${host(7)}:${port}`);
  });

  test('is where --listen says, whatever the tailnet', async () => {
    const tailnet = new PlayedTailnet(up([host(8)]));
    const { part } = await listening(tailnet, [{ host: host(9), port }]);
    await part.start();
    tailnet.change(up([host(10)]));
    expect(shown(part)).toEqual([`${host(9)}:${port}`]);
  });

  test('behind a tailscaled without an interface lets in what came through it, and nobody of this machine', async () => {
    const tailnet = new PlayedTailnet(up(['100.64.0.2'], true));
    const { part } = await listening(tailnet);
    await part.start();
    expect(shown(part), 'what others are told').toEqual([`100.64.0.2:${port}`]);
    expect(part.note()).toBeUndefined();

    const local = await visit('127.0.0.1');
    await waitFor('the local stranger to be refused', () => refused.length === 1);
    expect(refused[0]).toBe('it did not come through the tailnet');
    local.socket.destroy();

    const through = connect({ host: '127.0.0.1', port });
    through.once('connect', () => tailnet.known.add(through.localPort ?? 0));
    // What the front says of a handshake: it has let the connection in.
    through.write('no handshake');
    await waitFor('the front to have read it', () => refused.length === 2);
    expect(refused[1]).toMatch(/TLS/);

    tailnet.view = { kind: 'absent', why: 'gone' };
    const unknown = await visit('127.0.0.1');
    await waitFor('it to be refused', () => refused.length === 3);
    expect(refused[2]).toMatch(/^whether it came through the tailnet can't be asked/);
    unknown.socket.destroy();
    expect(strangers).toBe(0);
  });
});
