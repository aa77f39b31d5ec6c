/** Agents and their processes that lie to their node, or do not end. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import type { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import type { RunKey } from '../../src/domain/serving-port.ts';
import { ServeStream } from '../../src/client/serve-stream.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { encodeAttach } from '../../src/rpc/serving.ts';
import { attack, harmless } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMachine, theCall } from '../support/attacked-machine.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

let machine: AttackedMachine;
let liar: string;
beforeAll(async () => {
  machine = await AttackedMachine.start();
  const lying = fileURLToPath(new URL('../support/lying-acp-agent.ts', import.meta.url));
  liar = await machine.add('liar', [process.execPath, '--disable-warning=ExperimentalWarning', lying], { harness: 'acp' });
}, 60_000);
afterAll(() => machine?.[Symbol.asyncDispose]());

const victim = () => machine.attacked();
const shell = (name: string, script: string): Promise<string> => machine.add(name, ['/bin/sh', '-c', script]);

async function failed(address: string, task: string, more: object = {}): Promise<Told> {
  const { state, code, words } = await machine.ask(address, task, more);
  if (state !== 'failed' || code === undefined) throw new Error(`it ended ${state}`);
  return { code: code as Told['code'], words };
}

attack('an agent that prints one line without end', {
  victim,
  arrange: () => shell('endless', 'exec tr "\\0" x < /dev/zero'),
  act: (address) => failed(address, '', { runLimitMs: 1000 }),
  refused: { code: 'deadline', words: /run limit/ },
  logged: { none: 'the flight says why' },
  stores: theCall('what it printed until then', 100_000),
  growsMb: 128,
  shows: 'its output goes to the store piece by piece as fast as that takes it, and its run limit ends it',
});

attack('agents that ignore TERM, that close their output and stay, that leave children in groups and sessions of their own', {
  victim,
  arrange: async () => {
    const pids = machine.cluster.path('pids');
    const note = `echo $$ >> '${pids}'`;
    return {
      pids,
      stubborn: await shell('stubborn', `trap '' TERM INT HUP; ${note}; while :; do sleep 0.2; done`),
      closing: await shell('closing', `${note}; exec >&- 2>&- <&-; while :; do sleep 0.2; done`),
      forking: await shell('forking', `setsid sh -c "${note.replaceAll('$', '\\$')}; exec sleep 600" & (trap '' TERM; ${note}; exec sleep 600) & ${note}; wait`),
    };
  },
  act: ({ stubborn, closing, forking }) => Promise.all([stubborn, closing, forking].map((address) => failed(address, '', { runLimitMs: 1000 }))),
  refused: { code: 'deadline', words: /run limit/ },
  logged: { none: 'the flight says why' },
  stores: theCall('the calls themselves', 40),
  holds: ({ pids }) => {
    const all = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    expect([all.length, all.filter(isRunning)]).toEqual([5, []]);
  },
  shows: 'TERM to all of it, KILL 5 s later: a flight ends whatever its processes do',
  timeoutMs: 60_000,
});

attack('an agent of the protocol that answers what was not asked, twice, and for other sessions', {
  victim,
  act: async () => {
    expect(await machine.ask(liar, 'ids')).toMatchObject({ state: 'completed', output: 'mine' });
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'what is no message is dropped' },
  stores: theCall('the call itself'),
  shows: 'ids that nobody gave, updates of other sessions and what is no JSON change nothing in its turn, nor does a second end',
});

attack('an agent of the protocol that asks its client for files, a shell and another session', {
  victim,
  act: async () => {
    const { state, output } = await machine.ask(liar, 'files');
    expect([state, output.split(' ').filter((each) => each !== '-32601')]).toEqual(['completed', []]);
    expect(existsSync('/tmp/beckon-lie')).toBe(false);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'each is answered with “no such method”' },
  stores: theCall('the call itself'),
  shows: 'a node reads, writes and runs nothing for an agent: the agent has its own hands',
});

attack('an agent of the protocol that asks for two thousand permissions at once', {
  victim,
  act: async () => {
    const flightId = await machine.begin(liar, 'permissions');
    await waitFor('it to wait', async () => (await machine.person.getFlight(flightId)).flight.state === 'waiting');
    const { waiting } = await machine.person.listWaiting();
    const prompt = waiting[0]?.flight.waiting?.prompt ?? '';
    expect([waiting.length, prompt.length > 1000 && prompt.length <= 16 * 1024]).toEqual([1, true]);
    await machine.person.cancelFlight(flightId, 10_000);
    const { flight } = await machine.person.getFlight(flightId);
    return { code: flight.state as Told['code'] };
  },
  refused: { code: 'cancelled' },
  growsMb: 128,
  logged: { none: 'it waits like any other' },
  stores: theCall('the call, its first request, and what of the others was read until its end', 5_000),
  shows: 'its requests stand in line, cut to their bounds, and beyond 32 it is not read: people see one, and can end it',
});

attack('an agent of the protocol with messages that no memory or no reader bears', {
  victim,
  act: async () => {
    const told: Told[] = [];
    for (const task of ['heavy', 'long', 'noise']) told.push(await failed(liar, task));
    return told;
  },
  refused: { code: 'incompatible', words: /no agent of the protocol/ },
  logged: { none: 'the flight says why' },
  stores: theCall('the calls themselves', 40),
  growsMb: 128,
  shows: 'a line of more than 16 MiB, or of more values than any message has, or noise ends the flight and the agent',
});

attack('a process that serves one agent and speaks for the run of another', {
  victim,
  arrange: async () => {
    const [honest, other] = [await machine.add('honest', [], { harness: 'attached' }), await machine.add('other', [], { harness: 'attached' })];
    const serving = await serve(machine.person as GrpcNodeClient, honest, 'honest-1');
    const false1 = await serve(machine.person as GrpcNodeClient, other, 'false-1');
    const flightId = await machine.begin(honest, 'x');
    const key = await waitFor('the run', () => serving.keys[0]);
    return { serving, false1, flightId, key, other };
  },
  act: async ({ serving, false1, flightId, key }) => {
    const forged = new TextEncoder().encode('forged');
    false1.stream.send({ type: 'piece', key, number: 1, piece: { stream: 'stdout', bytes: forged } });
    false1.stream.send({ type: 'ask', key, number: 1, ask: { reason: 'approval', prompt: 'forged', choices: [] } });
    false1.stream.send({ type: 'end', key, error: { code: 'denied', message: 'forged' } });
    await waitFor('the answer', () => false1.closed.length >= 3);
    // Nor by the name of the other's process, at the other's agent.
    serving.stream.send({ type: 'piece', key, number: 1, piece: { stream: 'stdout', bytes: new TextEncoder().encode('honest') } });
    serving.stream.send({ type: 'end', key });
    await waitFor('it to end', async () => (await machine.person.getFlight(flightId)).flight.state === 'completed');
    expect(await machine.output(flightId)).toBe('honest');
    for (const each of [serving, false1]) each.stream.cancel();
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'it is told that the run is none of its own' },
  stores: [...theCall('the call itself'), ...['registrations', 'registry_heads', 'agents'].map((table) => ({ table, most: 12, why: 'the agent has no process any more, and so is not available' }))],
  shows: 'what a process says of a run that it was not handed is answered with “closed”, and nothing comes of it',
});

interface Served {
  readonly stream: ServeStream;
  /** Of the runs that it was handed. */
  readonly keys: RunKey[];
  /** What it was told is none of its. */
  readonly closed: unknown[];
}

async function serve(client: GrpcNodeClient, address: string, serverId: string): Promise<Served> {
  const stream = new ServeStream(client.openServe());
  const served: Served = { stream, keys: [], closed: [] };
  stream.attach(encodeAttach({ address, serverId, concurrency: 4, runs: [] }));
  let isAttached = false;
  const read = async (): Promise<void> => {
    for await (const frames of stream.frames()) {
      for (const { key, frame } of frames) {
        if (frame?.$case === 'attached') isAttached = true;
        if (frame?.$case === 'start') served.keys.push({ flightId: key?.flightId, run: key?.run } as RunKey);
        if (frame?.$case === 'closed') served.closed.push(key);
      }
    }
  };
  read().catch((error: unknown) => void fromCall(error));
  await waitFor('it to be attached', () => isAttached);
  return served;
}
