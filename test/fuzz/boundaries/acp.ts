/** What an agent writes to its stdout: a program of somebody else, of any version, that read what strangers wrote. */
import { RequestError } from '@agentclientprotocol/sdk';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flightIdOf } from '../../../src/domain/ids.ts';
import { longestDiff, longestTitle, mostSteps, bounded } from '../../../src/domain/progress.ts';
import type { Progress } from '../../../src/domain/progress.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import type { RunSink } from '../../../src/domain/harness-port.ts';
import type { Clock } from '../../../src/domain/ports.ts';
import type { Ask } from '../../../src/domain/request.ts';
import { AcpAgent } from '../../../src/harness/acp/agent.ts';
import { endOfTurn, refusalOf } from '../../../src/harness/acp/failures.ts';
import { anyAgent } from '../../../src/harness/acp/presets.ts';
import { Turn } from '../../../src/harness/acp/turn.ts';
import type { Child } from '../../../src/harness/child.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Verdict } from '../engine/boundary.ts';
import { jsonMutation } from '../engine/mutate-json.ts';

const cwd = '/project';
/** Turns of the event loop until the next request of this side has to be there. */
const patience = 200;
const session = 's1';
/** Above what any system gives: nobody's. */
const nobodysPid = 2 ** 31 - 2;
const soon: Clock = {
  now: () => 1_780_000_000_000,
  monotonic: () => performance.now(),
  setTimer: (_ms, fn) => {
    const immediate = setImmediate(fn);
    return () => clearImmediate(immediate);
  },
};

const notify = (update: object): object => ({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: session, update } });
const text = { type: 'text', text: 'all of it is new' };
const call = { toolCallId: 'c1', title: 'Edit a.ts', kind: 'edit', status: 'in_progress', content: [{ type: 'diff', path: '/project/a.ts', oldText: 'a\nb\n', newText: 'a\nc\n' }], locations: [{ path: '/project/a.ts', line: 3 }], rawInput: { command: ['rm', '-rf', 'x'] } };
const ask = { jsonrpc: '2.0', id: 'q1', method: 'session/request_permission', params: { sessionId: session, toolCall: call, options: [{ optionId: 'y', name: 'Yes', kind: 'allow_once' }, { optionId: 'n', name: 'No', kind: 'reject_once' }] } };
const form = { jsonrpc: '2.0', id: 'q2', method: 'elicitation/create', params: { sessionId: session, mode: 'form', message: 'Which?', requestedSchema: { properties: { colour: { type: 'string', enum: ['red', 'green'], title: 'Colour' }, many: { type: 'array', items: { anyOf: [{ const: 'a', title: 'A' }] } }, sure: { type: 'boolean' }, count: { type: 'integer' } }, required: ['colour'] } } };
const end = { jsonrpc: '2.0', id: 2, result: { stopReason: 'end_turn', usage: { inputTokens: 5, outputTokens: 7 } } };
const beginnings = [
  { jsonrpc: '2.0', id: 0, result: { protocolVersion: 1, agentCapabilities: { loadSession: true, sessionCapabilities: { resume: {} } }, authMethods: [{ id: 'login', name: 'Log in', vars: [{ name: 'KEY' }] }] } },
  { jsonrpc: '2.0', id: 1, result: { sessionId: session, modes: { currentModeId: 'ask', availableModes: [{ id: 'ask' }, { id: 'edit' }] } } },
];
const turns: Readonly<Record<string, readonly object[]>> = {
  'an answer': [notify({ sessionUpdate: 'agent_message_chunk', content: text, messageId: 'm' }), notify({ sessionUpdate: 'agent_thought_chunk', content: text }), end],
  'tool calls': [notify({ sessionUpdate: 'tool_call', ...call }), notify({ sessionUpdate: 'tool_call_update', ...call, status: 'completed' }), end],
  'a plan': [notify({ sessionUpdate: 'plan', entries: [{ content: 'think', status: 'pending' }] }), notify({ sessionUpdate: 'usage_update', used: 5, size: 10, cost: { amount: 1.5, currency: 'USD' } }), notify({ sessionUpdate: 'current_mode_update', currentModeId: 'edit' }), end],
  'a request': [ask, end],
  'a form': [form, end],
  'an error': [{ jsonrpc: '2.0', id: 2, error: { code: -32_000, message: 'log in first', data: { details: 'no key' } } }],
  'other content': [notify({ sessionUpdate: 'agent_message_chunk', content: { type: 'resource_link', uri: 'file:///a', name: 'a' } }), notify({ sessionUpdate: 'agent_message_chunk', content: { type: 'resource', resource: { text: 'x' } } }), { jsonrpc: '2.0', method: '$/cancel_request', params: { requestId: 'q1' } }, end],
};
const lines = (messages: readonly object[]): string => messages.map((message) => `${JSON.stringify(message)}\n`).join('');
const json = jsonMutation(['session/update', 'session/request_permission', 'elicitation/create', 'agent_message_chunk', 'tool_call', 'completed', 'failed', 'allow_once', 'cancelled', 'max_tokens', '/etc/passwd', '../..', session]);

export const acp: Boundary = {
  name: 'acp',
  what: 'lines of an agent of the Agent Client Protocol, from its first and in its turn',
  seeds: () => ({
    ...Object.fromEntries(Object.entries(turns).map(([name, messages]) => [name, Buffer.from(`\u0001${lines(messages)}`)])),
    'from the first line': Buffer.from(`\0${lines([...beginnings, ...(turns['an answer'] ?? [])])}`),
    'no agent': Buffer.from('\0Usage: agent [options]\n'),
  }),
  mutate: (input, dice, other) => {
    const all = Buffer.from(input.subarray(1)).toString('latin1').split('\n');
    const others = Buffer.from(other.subarray(1)).toString('latin1').split('\n');
    const at = dice.between(0, all.length - 1);
    if (dice.chance(0.15)) all.splice(at, dice.between(0, 1), dice.pick(others));
    else all[at] = Buffer.from(json(Buffer.from(all[at] ?? '', 'latin1'), dice, Buffer.from(dice.pick(others), 'latin1'))).toString('latin1');
    return Buffer.concat([input.subarray(0, 1), Buffer.from(all.join('\n'), 'latin1')]);
  },
  longest: 64 * 1024,
  open: () => ({ run: turn }),
};

async function turn(input: Uint8Array): Promise<Verdict> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const exited = Promise.withResolvers<{ exitCode: number }>();
  const child: Child = { pid: nobodysPid, mark: undefined, stdin, stdout, stderr, exited: exited.promise };
  const agent = new AcpAgent(child, flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'), { clock: soon, readProcesses: () => Promise.resolve([]), version: '0' } as ConstructorParameters<typeof AcpAgent>[2]);
  const isFromFirst = (input[0] ?? 0) % 2 === 0;
  // What answers the request that was made comes after it, under its number.
  const parts = partsOf(Buffer.from(input.subarray(1)), isFromFirst);
  let requests = 0;
  /** Who waits for the rest of an answer that has none is let go of, as by the limits of a start and a turn. */
  const endUnlessAsked = async (count: number, turns: number): Promise<void> => {
    for (let turn = 0; turn < turns && requests === count; turn += 1) await nextTurn();
    if (requests === count && !stdout.writableEnded) stdout.end();
  };
  stdin.on('data', (bytes: Buffer) => {
    for (const line of bytes.toString().split('\n')) {
      const asked = line === '' ? {} : (JSON.parse(line) as { id?: unknown; method?: string });
      if (asked.method === undefined || asked.id === undefined) continue;
      for (const part of parts.shift() ?? []) if (!stdout.writableEnded) stdout.write(numbered(part, asked.id));
      requests += 1;
      void endUnlessAsked(requests, parts.length === 0 ? 0 : patience);
    }
  });
  const said: Progress[] = [];
  const sink = {
    output: (_stream: string, bytes: Uint8Array) => {
      holds(bytes.length > 0 && bytes.length <= 64 * 1024, 'output comes in pieces of a bounded size');
      return Promise.resolve();
    },
    progress: (progress: Progress) => Promise.resolve(void said.push(progress)),
    ask: ({ choices }: Ask) => Promise.resolve(choices.length > 0 ? ({ kind: 'text', text: choices[0] ?? '', by: 'ada' } as const) : ({ kind: 'approved', by: 'ada' } as const)),
  } as unknown as RunSink;
  const port = new Turn({ endpoint: { cwd, permissions: 'ask' }, sink, clock: soon });
  const over = async (): Promise<Verdict> => {
    await agent.initialize();
    await agent.begin(cwd);
    const ended = await agent.prompt([{ type: 'text', text: 'go' }], port, undefined);
    await port.finish(ended);
    return endOfTurn(anyAgent, ended.stopReason).error === undefined ? 'accepted' : 'refused';
  };
  const verdict = over().catch((error: unknown): Verdict => {
    if (error instanceof RequestError) refusalOf(anyAgent, error);
    else if (!(error instanceof BrokerError) && !isBroken(error)) throw error;
    return 'refused';
  });
  stdout.once('close', () => exited.resolve({ exitCode: 0 }));
  const [found] = await Promise.all([verdict, agent.gone]);
  await port.finish(undefined).catch((error: unknown) => holds(error === port.failure?.error, 'a turn fails by what its sink said alone'));
  for (const each of said.map(bounded)) check(each);
  return found;
}

const isAnswer = (line: Buffer): boolean => /"(result|error)"/.test(line.toString('latin1'));

/** For each request of this side what is said before it is answered, and its answer. */
function partsOf(bytes: Buffer, isFromFirst: boolean): Buffer[][] {
  const parts: Buffer[][] = isFromFirst ? [[]] : [...beginnings.map((each) => [Buffer.from(lines([each]))]), []];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at) + 1 || bytes.length;
    const line = bytes.subarray(at, end);
    parts.at(-1)?.push(line);
    if (isAnswer(line) && parts.length < 3) parts.push([]);
    at = end;
  }
  return parts;
}

/** Answers are to the number 0, 1 or 2 in what is fuzzed; another number is a lie that it tells. */
function numbered(line: Buffer, id: unknown): Buffer {
  if (!isAnswer(line)) return line;
  return Buffer.from(line.toString('latin1').replace(/"id":\s*[012](?=\D)/, () => `"id":${JSON.stringify(id)}`), 'latin1');
}

/** How the library says that the connection is gone; the harness asks whether the process is. */
function isBroken(error: unknown): boolean {
  return error instanceof Error && /connection (was )?closed|closed/i.test(error.message);
}

function check(progress: Progress): void {
  if (progress.kind === 'tool') holds(progress.title.length <= longestTitle && progress.call.length <= longestTitle, 'a title is short');
  if (progress.kind === 'diff') holds(progress.patch.length <= longestDiff, 'a change is shown in a bounded text');
  if (progress.kind === 'plan') holds(progress.steps.length <= mostSteps, 'a plan is short');
}
