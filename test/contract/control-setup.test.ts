import type { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Survey } from '../../src/cli/host.ts';
import { conflict } from '../../src/domain/errors.ts';
import { CliProcess } from '../support/cli-host.ts';
import { FakeNode } from '../support/fake-node.ts';
import { fakeStatus } from '../support/fake-records.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const survey: Survey = { suggestedName: 'laptop', remembered: {}, tailnet: { addresses: ['100.64.0.1'] }, addresses: [{ host: '192.168.1.5', name: 'eth0' }] };
const nowhere = '/nowhere/control.sock';
const { mesh: _mesh, ...unjoined } = fakeStatus;

/** Types each answer when its question is there. */
async function talk(process: CliProcess, answers: readonly (readonly [question: RegExp, answer: string])[]): Promise<number> {
  const ended = process.run('setup');
  let from = 0;
  for (const [question, answer] of answers) {
    await waitFor(String(question), () => question.test(process.stderr.slice(from)));
    from = process.stderr.length;
    (process.host.stdin as PassThrough).write(`${answer}\n`);
  }
  return await ended;
}

/** A node that is not there until it is started, with these flags. */
function startable(started: (readonly string[])[]) {
  let isStarted = false;
  return {
    survey: async () => survey,
    stdinIsTerminal: true,
    // The socket is there already; what says that a node runs is its answer.
    get socketPath() {
      return isStarted ? node.socketPath : nowhere;
    },
    spawn: async (args: readonly string[]) => {
      started.push(args);
      isStarted = true;
      const lines = async function* (): AsyncGenerator<string> {
        yield `${JSON.stringify({ type: 'ready', node: 'laptop', nodeId: 'k51', listen: null, gossipListen: null, socket: node.socketPath })}\n`;
      };
      return { stdout: lines(), exited: new Promise<number | null>(() => undefined), release: () => undefined };
    },
  };
}

describe('where nobody can be asked', () => {
  test('setup says what it would do, does nothing, and exits 2', async () => {
    const { code, stdout, stderr } = await node.run(['setup'], { socketPath: nowhere, survey: async () => survey });
    expect(code).toBe(2);
    expect(stdout).toContain('to do  its node would be started: beckon up --detach --name laptop --listen 127.0.0.1:7423 --tailscale off');
    expect(stdout).toContain('nobody else could reach it, unless you say yes to one of: 100.64.0.1:7423, in the tailnet; 192.168.1.5:7423');
    expect(stderr).toContain('run it in a terminal');
  });

  test('--json has a step an entry, on a terminal too', async () => {
    const { code, json } = await node.run(['setup', '--json'], { socketPath: nowhere, survey: async () => survey, stdinIsTerminal: true });
    expect(code).toBe(2);
    expect(json['steps'].map(({ id, done }: { id: string; done: boolean }) => [id, done])).toEqual([['name', false], ['reach', false], ['start', false], ['mesh', false]]);
  });

  test('with all done there is nothing to ask: 0', async () => {
    const { code, stdout } = await node.run(['setup'], { survey: async () => survey });
    expect([code, stdout.split('\n').filter((line) => line.startsWith('to do'))]).toEqual([0, []]);
  });
});

describe('at a terminal', () => {
  test('a new machine gets its name, node and mesh; without a yes it listens on itself alone', async () => {
    const started: (readonly string[])[] = [];
    node.broker.status = async () => (node.broker.made.length > 0 ? fakeStatus : unjoined);
    const process = new CliProcess(startable(started));
    const code = await talk(process, [
      [/called\? \[laptop\]/, 'Not A Name!'],
      [/called\? \[laptop\]/, ''],
      [/your tailnet reach this node/, ''],
      [/network of eth0 reach this node/, 'n'],
      [/Start its node now/, ''],
      [/make one here/, 'make'],
    ]);
    expect(code).toBe(0);
    expect(started).toEqual([['up', '--json', '--name=laptop', '--listen=127.0.0.1:7423', '--tailscale=off']]);
    expect(node.broker.made).toHaveLength(1);
    expect(process.stdout).toContain('it is a member of home');
  });

  test('a yes to the tailnet leaves where it listens to the tailnet; one to a network names the address', async () => {
    const started: (readonly string[])[] = [];
    node.broker.status = async () => unjoined;
    await talk(new CliProcess(startable(started)), [[/called/, ''], [/tailnet/, 'y'], [/Start/, ''], [/make one/, '']]);
    await talk(new CliProcess(startable(started)), [[/called/, ''], [/tailnet/, ''], [/eth0/, 'yes'], [/Start/, ''], [/make one/, 'neither']]);
    expect(started.map((args) => args.slice(2))).toEqual([['--name=laptop'], ['--name=laptop', '--tailscale=off', '--listen=192.168.1.5:7423']]);
  });

  test('what was done before is not asked again; a token that is refused may be given anew', async () => {
    node.broker.status = async () => (node.broker.joined.length > 0 ? fakeStatus : unjoined);
    node.broker.failure = undefined;
    const process = node.process({ survey: async () => survey, stdinIsTerminal: true });
    const join = node.broker.joinMesh.bind(node.broker);
    let tries = 0;
    node.broker.joinMesh = async (token) => {
      tries += 1;
      if (tries === 1) throw conflict('the token is not valid here', 'make another: beckon mesh invite');
      return join(token);
    };
    const code = await talk(process, [[/make one here/, 'join'], [/The token/, 'bad'], [/make one here/, 'join'], [/The token/, 'good']]);
    expect(code).toBe(0);
    expect(process.stderr).toContain('the token is not valid here');
    expect(process.stderr).not.toContain('called?');
    expect(node.broker.joined).toEqual(['good']);
  });

  test('no to the start leaves all as it is, with the command to paste', async () => {
    const started: (readonly string[])[] = [];
    const process = new CliProcess(startable(started));
    expect(await talk(process, [[/called/, 'desk'], [/tailnet/, ''], [/eth0/, ''], [/Start/, 'n']])).toBe(0);
    expect(started).toEqual([]);
    expect(process.stderr).toContain('beckon up --detach --name=desk --listen=127.0.0.1:7423 --tailscale=off');
  });

  test('input that ends is no answer: what was done stays, and nothing more is done', async () => {
    const started: (readonly string[])[] = [];
    const process = new CliProcess(startable(started));
    const ended = process.run('setup');
    await waitFor('a question', () => process.stderr.includes('called?'));
    (process.host.stdin as PassThrough).end();
    expect(await ended).toBe(7);
    expect(started).toEqual([]);
  });
});
