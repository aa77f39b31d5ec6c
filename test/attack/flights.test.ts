/** Agents at work that do with their node what only its person may, or more than one call is meant to set off. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';
import { mostDescendants } from '../../src/domain/ancestry.ts';
import { requestOf, selectorOf, specOf } from '../support/asking.ts';
import { attack, toldBy, toldByError } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { all, AttackedMachine, theCall, toldByAll } from '../support/attacked-machine.ts';
import type { HeldFlight } from '../support/attacked-machine.ts';
import type { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import { fromCall } from '../../src/rpc/status.ts';

let machine: AttackedMachine;
let held: HeldFlight & { readonly release: () => Promise<void> };
let flight: GrpcNodeClient;

beforeAll(async () => {
  machine = await AttackedMachine.start();
  held = await machine.hold();
  flight = await machine.asFlight(held.token);
}, 60_000);
afterAll(() => machine?.[Symbol.asyncDispose]());

const victim = () => machine.attacked();
const line = /"msg":"a process of a flight was refused what it asked of this node"/;
const spec = specOf({ permissions: 'full' });

attack('a flight that shares, approves, admits, invites, removes and appoints for itself', {
  victim,
  act: () =>
    toldByAll([
      () => flight.shareAgent({ address: machine.echo, parties: [] }),
      () => flight.unshareAgent({ address: machine.echo, parties: [] }),
      () => flight.addAgent(spec),
      () => flight.removeAgent(machine.echo),
      () => flight.approveProjects({ approvals: [{ root: '/', fingerprint: 'aa' }], path: '' }),
      () => flight.replyToFlight({ id: held.flightId, reply: { kind: 'approved' }, waitMs: 0 }),
      () => flight.admit({ rules: [{ kind: 'user', value: 'mallory@example.com' }] }),
      () => flight.createInvite({}),
      () => flight.removeMember('victim'),
      () => flight.addIssuer('victim'),
      () => flight.joinMesh('bkn1.x'),
      () => flight.leaveMesh({ force: true, confirmed: true, waitMs: 0 }),
      () => flight.renameNode('mallory'),
      () => flight.shutdown(true),
    ]),
  refused: { code: 'denied', words: /an agent at work may not do this/ },
  logged: { line, each: true },
  audit: ['flight.refused'],
  holds: async () => expect((await machine.person.status()).name).toBe('victim'),
  shows: 'the token of a flight opens none of what changes the node, its mesh or who may do what; each call is logged once a flight',
});

attack('a flight that tries the same without end', {
  victim,
  act: () => toldByAll(Array.from({ length: 300 }, () => () => flight.listWaiting())),
  refused: { code: 'denied' },
  logged: { line },
  audit: ['flight.refused'],
  shows: 'three hundred tries of one flight are one line of the log',
});

attack('a flight that reads what its node is told and keeps', {
  victim,
  act: () =>
    toldByAll([
      () => flight.showConfig(),
      () => flight.members(),
      () => flight.pending(),
      () => flight.backup(machine.cluster.path('copy.db')),
      () => flight.exportRecovery({ path: machine.cluster.path('key'), passphrase: 'twelve letters', move: false }),
      () => all(flight.export({})),
      () => all(flight.tail({ noFollow: true })),
      () => flight.report(0),
      () => flight.listDeliveries({}, { limit: 10 }),
      () => flight.scanProjects({ directories: ['/etc'], cwd: '/', path: '' }),
    ]),
  refused: { code: 'denied' },
  logged: { line, each: true },
  audit: ['flight.refused'],
  holds: () => expect([existsSync(machine.cluster.path('copy.db')), existsSync(machine.cluster.path('key'))]).toEqual([false, false]),
  shows: 'neither the config, the records of others, a backup nor a recovery file is to be had with the token of a flight',
});

attack('a flight that looks at, follows and ends the work of others', {
  victim,
  arrange: () => machine.ask(machine.echo, 'a secret of somebody else'),
  act: ({ flightId }) =>
    toldByAll([
      () => flight.getFlight(flightId),
      () => all(flight.output(flightId, 'stdout')),
      () => all(flight.follow(flightId)),
      () => flight.trace(flightId),
      () => flight.cancelFlight(flightId, 0),
      () => all(flight.readDiff(flightId)),
      () => flight.settleWorktree({ id: flightId, verb: 'discarded' }),
    ]),
  refused: { code: 'denied', words: /not for @held1@victim#main to see or to end/ },
  logged: { none: 'its own flights are asked for by the same calls: it is told so, and nobody else' },
  shows: 'a process of a flight sees and ends its own flight and what it led to, and no other',
});

attack('a flight that serves another agent in its name', {
  victim,
  arrange: () => machine.add('served', [], { harness: 'attached' }),
  act: (address) =>
    toldByError(
      (async () => {
        const call = flight.openServe();
        call.write({ attach: { address, serverId: 'mallory', concurrency: 1, runs: [] } as never, frames: [] });
        for await (const _frame of call as AsyncIterable<unknown>) throw new Error('it was taken');
      })().catch((error: unknown) => Promise.reject(fromCall(error))),
    ),
  refused: { code: 'denied' },
  logged: { line },
  audit: ['flight.refused'],
  shows: 'an agent is served by its own process, and by no process of a flight',
});

attack('tokens that are made up, cut, of another flight or another run', {
  victim,
  act: async () => {
    const [id = '', mac = ''] = held.token.split('.');
    const forged = [`${id}.${'A'.repeat(mac.length)}`, `${id}.`, `${id}.${mac.slice(0, -1)}`, `${id}.${mac}=`, `${held.flightId.replace(/.$/, '0')}.${mac}`, `${id.toLowerCase()}.${mac}`, `${held.token}.${mac}`, 'x', `flt_${'0'.repeat(26)}.${mac}`];
    const told: Told[] = [];
    for (const token of forged) told.push(await toldByError((await machine.asFlight(token)).status()));
    return told;
  },
  refused: { code: 'unauthenticated' },
  logged: { line, most: 9 },
  shows: 'a token is its flight, its run and a MAC over both, byte for byte',
});

attack('the token of a flight that has ended', {
  victim,
  arrange: async () => {
    const other = await machine.hold();
    await other.release();
    return machine.asFlight(other.token);
  },
  act: (ended) => toldByAll([() => ended.status(), () => machine.ask(machine.echo, 'x', {}, ended), () => ended.listAgents({}, { limit: 1 })]),
  refused: { code: 'unauthenticated', words: /is of a flight that does not run/ },
  logged: { line, each: true },
  shows: 'what a flight leaves running has no token any more: it can neither ask nor call',
});

attack('commands of a flight that need no node: joining, mending, services, uninstalling', {
  victim,
  act: async () => {
    const env = { BECKON_TOKEN: held.token };
    const commands = [['up', '--join', 'bkn1.x'], ['doctor', '--fix', '--yes'], ['service', 'install'], ['uninstall', '--yes', '--force']];
    return (await Promise.all(commands.map((args) => machine.victim.beckon([...args, '--json'], { env })))).map(toldBy);
  },
  refused: { code: 'denied', words: /an agent at work/ },
  logged: { none: 'the node is not asked' },
  shows: 'the command line refuses them by itself where a token is in its environment',
});

attack('agents that call each other in a circle', {
  victim,
  act: async () => {
    const child = await machine.ask(machine.echo, 'x', {}, flight);
    expect(child.state).toBe('completed');
    return toldByAll([() => machine.ask('held1', 'again', {}, flight), () => machine.ask('@held1@victim#main', 'again', {}, flight)]);
  },
  refused: { code: 'conflict', words: /is at work on this already/ },
  logged: { none: 'who asked is told the chain' },
  stores: theCall('of the call that is no circle'),
  shows: 'an agent of the chain is refused before anything is stored, with the chain',
});

attack('a fan-out bomb: one flight that calls others more often than any work takes', {
  victim,
  // It stays until the node goes: what is asked of it waits.
  arrange: async () => {
    const bomber = await machine.hold();
    const slow = await machine.add('slow', ['sleep', '600'], { concurrency: 1 });
    const client = await machine.asFlight(bomber.token);
    for (let at = 0; at < mostDescendants; at += 50) await Promise.all(Array.from({ length: 50 }, () => machine.begin(slow, '', {}, client)));
    return { client, slow };
  },
  act: ({ client, slow }) => toldByAll([() => machine.begin(slow, '', {}, client), () => machine.begin(machine.echo, '', {}, client), () => client.invokeAll({ ...bomb(slow), expected: [slow], confirmed: true } as never)]),
  refused: { code: 'conflict', words: /has led to 1000 invocations on this node already/ },
  logged: { line: /an invocation has led to as many others as it may/ },
  shows: 'all that one invocation leads to is counted by its root: beyond 1,000 on a node nothing more is taken',
  timeoutMs: 60_000,
});

function bomb(address: string) {
  return requestOf(address, '', { selector: selectorOf(address, { all: true }) });
}
