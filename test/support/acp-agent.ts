/**
 * An agent of the Agent Client Protocol that does as it is told, on the library's own agent side: `node acp-agent.ts
 * [OPTION]...`, then a task of one step a line.
 *
 * Options: `--always STEPS` (instead of the task's; `$TASK` is the task, `;` parts steps), `--store DIR` (keeps sessions
 * there, and so can load them), `--late` (tells of them only after it has answered), `--resume` (can resume them too), `--slow MS` (before it answers `initialize`), `--hang
 * METHOD` (never answers it), `--auth NAME` (wants to be signed in with that variable), `--browser` (or in a browser),
 * `--modes` (has some), `--version N` (of the protocol), `--embeds` (takes files with the prompt).
 */
import { agent, methods, ndJsonStream, RequestError, type AgentContext, type SessionUpdate, type StopReason } from '@agentclientprotocol/sdk';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, closeSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const options = process.argv.slice(2);
const option = (name: string): string | undefined => (options.includes(name) ? options[options.indexOf(name) + 1] : undefined);
const has = (name: string): boolean => options.includes(name);

interface Session {
  readonly turns: string[];
  mode: string;
  cancelled: AbortController;
}

const sessions = new Map<string, Session>();
let isSignedIn = option('--auth') === undefined;
const file = (id: string): string => join(option('--store') ?? '.', `${id}.turns`);
const modes = (session: Session) => (has('--modes') ? { modes: { currentModeId: session.mode, availableModes: ['default', 'acceptEdits', 'bypassPermissions'].map((id) => ({ id, name: id })) } } : {});

function open(id: string): Session {
  const turns = option('--store') !== undefined && existsSync(file(id)) ? readFileSync(file(id), 'utf8').split('\0').slice(0, -1) : [];
  const session = { turns, mode: 'acceptEdits', cancelled: new AbortController() };
  sessions.set(id, session);
  return session;
}

function known(id: string): Session {
  if (option('--store') === undefined || !existsSync(file(id))) throw RequestError.sessionNotFound(id);
  return open(id);
}

const forever = (method: string): Promise<void> => (option('--hang') === method ? new Promise(() => setInterval(() => undefined, 1000)) : Promise.resolve());

const connection = agent({ name: 'fake' })
  .onRequest(methods.agent.initialize, async () => {
    await forever('initialize');
    if (option('--slow') !== undefined) await delay(Number(option('--slow')));
    const methodsOffered = [...(has('--browser') ? [{ id: 'web', name: 'In a browser' }] : []), ...(option('--auth') === undefined ? [] : [{ type: 'env_var', id: 'key', name: 'Key', vars: [{ name: option('--auth') }] }])];
    return {
      protocolVersion: Number(option('--version') ?? 1),
      agentCapabilities: {
        loadSession: option('--store') !== undefined,
        promptCapabilities: { embeddedContext: has('--embeds') },
        sessionCapabilities: has('--resume') ? { resume: {} } : {},
      },
      authMethods: methodsOffered as [],
    };
  })
  .onRequest(methods.agent.authenticate, ({ params }) => {
    if (params.methodId !== 'key' || process.env[option('--auth') ?? ''] === undefined) throw RequestError.internalError({ details: `no such way in: ${params.methodId}` });
    isSignedIn = true;
  })
  .onRequest(methods.agent.session.new, async () => {
    await forever('session/new');
    if (!isSignedIn) throw RequestError.authRequired(undefined, 'say who you are');
    const id = randomUUID();
    return { sessionId: id, ...modes(open(id)) };
  })
  .onRequest(methods.agent.session.load, async ({ params, client }) => {
    const session = known(params.sessionId);
    const tell = (sessionUpdate: 'user_message_chunk' | 'agent_message_chunk', text: string) => client.notify(methods.client.session.update, { sessionId: params.sessionId, update: { sessionUpdate, content: { type: 'text', text } } });
    const replay = async (): Promise<void> => {
      for (const turn of session.turns) {
        if (has('--late')) await delay(50);
        await tell('user_message_chunk', turn);
        await tell('agent_message_chunk', `replayed ${turn}`);
      }
    };
    // As the protocol has it, the whole conversation before the answer; or else in the middle of it.
    const told = replay();
    if (!has('--late')) await told;
    return modes(session);
  })
  .onRequest(methods.agent.session.resume, ({ params }) => modes(known(params.sessionId)))
  .onRequest(methods.agent.session.setMode, ({ params }) => {
    const session = sessions.get(params.sessionId);
    if (session !== undefined) session.mode = params.modeId;
  })
  .onNotification(methods.agent.session.cancel, ({ params }) => sessions.get(params.sessionId)?.cancelled.abort())
  .onRequest(methods.agent.session.prompt, async ({ params, client }) => {
    const session = sessions.get(params.sessionId);
    if (session === undefined) throw RequestError.sessionNotFound(params.sessionId);
    session.cancelled = new AbortController();
    const task = params.prompt.map((block) => (block.type === 'text' ? block.text : '')).join('');
    if (option('--store') !== undefined) appendFileSync(file(params.sessionId), `${task}\0`);
    session.turns.push(task);
    const always = option('--always');
    const steps = always === undefined ? task.split('\n') : always.split(';');
    const turn = new Play(client, params.sessionId, session, task, JSON.stringify(params.prompt.slice(1)), JSON.stringify(params._meta ?? null));
    for (const step of steps) {
      const stopped = await turn.step(step);
      if (stopped !== undefined) return { stopReason: stopped };
      if (session.cancelled.signal.aborted) return { stopReason: 'cancelled' as const };
    }
    return { stopReason: 'end_turn' as const, usage: { inputTokens: 10 * session.turns.length, outputTokens: 5, totalTokens: 15 } };
  })
  .connect(ndJsonStream(Writable.toWeb(process.stdout) as WritableStream<Uint8Array>, Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>));
void connection.closed.then(() => process.exit(0));

class Play {
  readonly #client: AgentContext;
  readonly #id: string;
  readonly #session: Session;
  readonly #task: string;
  readonly #files: string;
  readonly #meta: string;
  #calls = 0;

  constructor(client: AgentContext, id: string, session: Session, task: string, files: string, meta: string) {
    this.#client = client;
    this.#id = id;
    this.#session = session;
    this.#task = task;
    this.#files = files;
    this.#meta = meta;
  }

  /** @returns a reason to end the turn */
  async step(step: string): Promise<StopReason | undefined> {
    const [verb = '', ...rest] = step.trim().split(' ');
    const words = rest.join(' ');
    switch (verb) {
      case 'echo':
        return this.#say(this.#task);
      case 'meta':
        return this.#say(this.#meta);
      case 'line':
        return this.#say(`${this.#task}\n`);
      case 'say':
        return this.#say(`${words}\n`);
      case 'message':
        return this.#tell({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: words } });
      case 'think':
        for (const word of rest) await this.#tell({ sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text: `${word} ` } });
        return undefined;
      case 'plan':
        return this.#tell({ sessionUpdate: 'plan', entries: words.split('|').map((content, index) => ({ content, priority: 'medium', status: index === 0 ? 'in_progress' : 'pending' })) });
      case 'usage':
        return this.#tell({ sessionUpdate: 'usage_update', used: 1000, size: 200_000, cost: { amount: 0.25, currency: 'USD' } });
      case 'tool': {
        const toolCallId = this.#call();
        await this.#tell({ sessionUpdate: 'tool_call', toolCallId, title: words, kind: 'search', status: 'pending' });
        await this.#tell({ sessionUpdate: 'tool_call_update', toolCallId, status: 'in_progress' });
        return this.#tell({ sessionUpdate: 'tool_call_update', toolCallId, status: 'completed' });
      }
      case 'large':
        for (let sent = 0; sent < 12; sent += 1) await this.#say('aé€😀'.repeat(25_001));
        return undefined;
      case 'flood':
        for (let sent = 0; sent < Number(words); sent += 1) await this.#say('x'.repeat(1000));
        return undefined;
      case 'env':
        return this.#say(`${process.env[words] ?? '(not set)'}\n`);
      case 'environment':
        return this.#say(`${Object.keys(process.env).toSorted().join(' ')}\n`);
      case 'pid':
        return this.#say(`${process.pid}\n`);
      case 'mode':
        return this.#say(`${this.#session.mode}\n`);
      case 'cwd':
        return this.#say(`${process.cwd()}\n`);
      case 'session':
        return this.#say(`${this.#id}\n`);
      case 'count':
        return this.#say(`${this.#session.turns.length}\n`);
      case 'yes-or-no':
        await this.#permitted({ toolCallId: this.#call(), title: 'Go on?', kind: 'execute' }, false);
        return this.#say(this.#wasAllowed ? 'yes\n' : 'no\n');
      case 'files':
        return this.#say(`${this.#files}\n`);
      case 'family':
        return this.#family();
      case 'edit':
        return this.#edit(rest[0] ?? 'file', rest.slice(1).join(' '));
      case 'run':
        return this.#permitted({ toolCallId: this.#call(), title: words, kind: 'execute', rawInput: { command: words } });
      case 'question':
        return this.#question(words);
      case 'strangers': {
        await this.#client.notify(methods.client.session.update, { sessionId: 'another', update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: 'not mine' } } });
        const { outcome } = await this.#client.request(methods.client.session.requestPermission, { sessionId: 'another', toolCall: { toolCallId: 'x', title: 'not mine' }, options: [{ optionId: 'y', name: 'Yes', kind: 'allow_once' }] });
        return this.#say(`${outcome.outcome}\n`);
      }
      case 'read':
        return this.#say(await this.#client.request(methods.client.fs.readTextFile, { sessionId: this.#id, path: words }).then(() => 'it was read\n', (error: unknown) => `${String(error)}\n`));
      case 'stderr':
        process.stderr.write(`${words}\n`);
        return undefined;
      case 'raw':
        return this.#raw(`${words}\n`);
      case 'rawline':
        return this.#raw('x'.repeat(Number(words)));
      case 'sleep':
        await delay(Number(words));
        return undefined;
      case 'idle':
        // Alive whatever becomes of its stdin, until it is ended.
        return new Promise(() => setInterval(() => undefined, 1000));
      case 'hang':
        await new Promise<void>((resolve) => this.#session.cancelled.signal.addEventListener('abort', () => resolve(), { once: true }));
        return undefined;
      case 'die':
        process.stderr.write('I can not go on\n');
        return process.exit(Number(words));
      case 'killed':
        process.kill(process.pid, 'SIGKILL');
        return undefined;
      case 'later':
        // Dies once its turn is over.
        setTimeout(() => process.exit(3), Number(words));
        return undefined;
      case 'murmur':
        // Talks once its turn is over, and leaves the file when it has done so.
        setTimeout(() => void this.#say('murmur\n').then(() => writeFileSync(words, '')), 5);
        return undefined;
      case 'close':
        closeSync(1);
        return new Promise(() => setInterval(() => undefined, 1000));
      case 'stop':
        return words as StopReason;
      case 'fail':
        throw RequestError.internalError({ details: words });
      case 'unauthorised':
        throw RequestError.authRequired(undefined, words);
      default:
        return this.#say(`no such step: ${step}\n`);
    }
  }

  #call(): string {
    this.#calls += 1;
    return `call-${this.#calls}`;
  }

  async #tell(update: SessionUpdate): Promise<undefined> {
    await this.#client.notify(methods.client.session.update, { sessionId: this.#id, update });
  }

  /** Waited for: a web stream over a Node stream loses what it is given while that one wants to be drained. */
  async #raw(text: string): Promise<undefined> {
    await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
  }

  async #say(text: string): Promise<undefined> {
    await this.#tell({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } });
  }

  /** One child as usual, one in a group of its own, one in a session of its own. */
  async #family(): Promise<undefined> {
    const plain = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const apart = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true });
    const shell = spawn('bash', ['-mc', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const pid = await new Promise<number>((resolve) => shell.stdout.on('data', (bytes) => resolve(Number(bytes))));
    await this.#say(`${process.pid} ${plain.pid} ${apart.pid} ${pid}\n`);
    return new Promise(() => setInterval(() => undefined, 1000));
  }

  async #edit(path: string, text: string): Promise<undefined> {
    const whole = join(process.cwd(), path);
    const oldText = existsSync(whole) ? readFileSync(whole, 'utf8') : null;
    const newText = `${text}\n`;
    await this.#permitted({ toolCallId: this.#call(), title: `Write ${path}`, kind: 'edit', locations: [{ path: whole }], content: [{ type: 'diff', path: whole, oldText, newText }] });
    if (this.#wasAllowed) writeFileSync(whole, newText);
    return undefined;
  }

  #wasAllowed = false;

  async #permitted(toolCall: { toolCallId: string; title: string; kind: 'edit' | 'execute'; rawInput?: unknown; locations?: { path: string }[]; content?: { type: 'diff'; path: string; oldText: string | null; newText: string }[] }, isTold = true): Promise<undefined> {
    await this.#tell({ sessionUpdate: 'tool_call', status: 'pending', ...toolCall });
    const { outcome } = await this.#client.request(methods.client.session.requestPermission, {
      sessionId: this.#id,
      toolCall: { toolCallId: toolCall.toolCallId },
      options: [
        { optionId: 'always', name: 'Always', kind: 'allow_always' },
        { optionId: 'once', name: 'Yes', kind: 'allow_once' },
        { optionId: 'no', name: 'No', kind: 'reject_once' },
      ],
    });
    this.#wasAllowed = outcome.outcome === 'selected' && outcome.optionId !== 'no';
    await this.#tell({ sessionUpdate: 'tool_call_update', toolCallId: toolCall.toolCallId, status: this.#wasAllowed ? 'completed' : 'failed' });
    if (isTold) await this.#say(`${toolCall.title}: ${outcome.outcome === 'selected' ? outcome.optionId : outcome.outcome}\n`);
    return undefined;
  }

  async #question(message: string): Promise<undefined> {
    const answer = await this.#client.request(methods.client.elicitation.create, {
      sessionId: this.#id,
      mode: 'form',
      message,
      requestedSchema: { type: 'object', properties: { colour: { type: 'string', title: 'Colour', enum: ['red', 'green'] }, count: { type: 'integer', title: 'How many' } }, required: ['colour', 'count'] },
    });
    await this.#say(`${JSON.stringify(answer)}\n`);
    return undefined;
  }
}
