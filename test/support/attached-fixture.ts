/** The harness `attached` with processes that a test plays. */
import type { Run, RunEnd, RunRequest, RunSink } from '../../src/domain/harness-port.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { Attach, RunKey, ServerLink, Serving, ToServer } from '../../src/domain/serving-port.ts';
import { AttachedHarness } from '../../src/harness/attached/harness.ts';
import { FakeClock } from './fake-clock.ts';

export const address = '@echo@laptop#main';
export const endpoint = { agentId: 'agt_01J9Z6M3T4V8Q2X7K5B1C0D9EF', address, harness: 'attached', cwd: '/', argv: [], env: [], path: '', permissions: 'ask', isolate: false } as unknown as Endpoint;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const ulid = (number: number): string => `01J9Z6M3T4V8Q2X7K5B1C0${String(number).padStart(4, '0')}`;
export const key = (number: number, run = 1): RunKey => ({ flightId: flightIdOf(ulid(number)), run });
export class Process implements ServerLink {
  readonly heard: ToServer[] = [];
  closedWith: Error | undefined;
  readonly serving: Serving;
  readonly id: string;

  constructor(harness: AttachedHarness, id: string, attach: Partial<Attach> = {}) {
    this.id = id;
    this.serving = harness.attach({ address, serverId: id, concurrency: 1, runs: [], ...attach }, this);
  }

  send(message: ToServer): void {
    this.heard.push(message);
  }

  close(error: Error): void {
    this.closedWith = error;
  }

  /** What it was told, but for what is of no matter here. */
  get told(): string[] {
    return this.heard.flatMap((each) => (each.type === 'listed' ? [] : `${each.type}${'key' in each ? ` ${each.key.flightId.slice(-1)}` : ''}${each.type === 'start' ? ` ${each.run.flightId.slice(-1)}` : ''}${each.type === 'stored' ? `:${each.pieces}` : ''}`));
  }

  say(number: number, at: number, text: string): void {
    this.serving.receive({ type: 'piece', key: key(number), number: at, piece: { stream: 'stdout', bytes: utf8(text) } });
  }

  end(number: number): void {
    this.serving.receive({ type: 'end', key: key(number) });
  }
}

export class Sink implements RunSink {
  text = '';
  readonly asked: string[] = [];
  answer = Promise.withResolvers<{ kind: 'approved'; by: string }>();
  output: RunSink['output'] = async (_stream, bytes) => void (this.text += new TextDecoder().decode(bytes));
  progress: RunSink['progress'] = async ({ kind }) => void (this.text += `<${kind}>`);
  bindSession: RunSink['bindSession'] = async (name) => void (this.text += `(${name})`);
  ask: RunSink['ask'] = ({ prompt }) => {
    this.asked.push(prompt);
    return this.answer.promise;
  };
}

export interface Started {
  readonly run: Run;
  readonly sink: Sink;
  readonly seen: { end?: RunEnd };
}

export class AttachedFixture {
  readonly clock = new FakeClock();
  changes = 0;
  readonly harness = new AttachedHarness({ clock: this.clock, onServersChanged: async () => void (this.changes += 1) });

  process(id: string, attach: Partial<Attach> = {}): Process {
    return new Process(this.harness, id, attach);
  }

  start(number: number, sink = new Sink()): Started {
    return watch(this.harness.start(requestOf(number), sink), sink);
  }

  adopt(pieces: number, sink = new Sink()): Started {
    return watch(this.harness.adopt(requestOf(1), sink, pieces), sink);
  }
}

function watch(run: Run, sink: Sink): Started {
  const seen: { end?: RunEnd } = {};
  void run.ended.then((end) => (seen.end = end));
  return { run, sink, seen };
}

const requestOf = (number: number): RunRequest => ({
  invocationId: invocationIdOf(ulid(number)), flightId: flightIdOf(ulid(number)), run: 1, endpoint, task: { text: utf8(`task ${number}`), files: [] }, flightEnv: { BECKON_TOKEN: 't' },
});
