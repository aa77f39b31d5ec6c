/**
 * One run in the process that serves it: the handler at work, and what it has handed over that the node does not have on
 * disk yet. Of that it keeps all, and says it again on the next connection.
 */
import { BrokerError, invalid } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import { maxOutputChunk } from '../domain/flight-event.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import { bounded } from '../domain/progress.ts';
import { trimmed } from '../domain/request.ts';
import type { Answer, Ask } from '../domain/request.ts';
import type { FromServer, Piece, RunKey, ServedRun, ToServer } from '../domain/serving-port.ts';
import { splitUtf8 } from '../domain/text.ts';
import { ServerFrame } from '../gen/beckon/v1/serving.ts';
import { decodeFromServer, encodeFromServer } from '../rpc/serving.ts';
import { bytesOf } from './invoke-options.ts';
import type { Content } from './invoke-options.ts';
import { RunOutbox } from './run-outbox.ts';
import type { Handler, Question, RunContext } from './serving.ts';
import { textOf } from './updates.ts';

export interface ServedRunParts {
  readonly address: string;
  readonly handler: Handler;
  /** As a process of this flight. */
  readonly invoke: RunContext['invoke'];
  /** To the node, if it is connected now. */
  readonly send: (message: FromServer) => void;
  readonly onError: (error: unknown, context: RunContext) => void;
}

export class RunInProcess {
  readonly key: RunKey;
  readonly #parts: ServedRunParts;
  readonly #abort = new AbortController();
  readonly #outbox: RunOutbox;
  #pieces = 0;
  /** Bytes of a character whose rest is to come. */
  readonly #unfinished: Record<OutputStream, Uint8Array> = { stdout: new Uint8Array(), stderr: new Uint8Array() };
  #roomWanted: (() => void)[] = [];
  readonly #asks = new Map<number, (answer: Answer) => void>();
  #lastAsk = 0;
  #end: { readonly error?: ErrorInfo } | undefined;

  constructor(parts: ServedRunParts, run: ServedRun) {
    this.#parts = parts;
    this.key = { flightId: run.flightId, run: run.run };
    this.#outbox = new RunOutbox(parts.send);
    void this.#work(run);
  }

  /** On a new connection: all that the node may not have. */
  resume(received: number): void {
    this.#outbox.resume(received);
  }

  /** Whatever of this run the node says. */
  receive(message: Extract<ToServer, { key: RunKey }>): void {
    switch (message.type) {
      case 'stop':
        return this.stop('the flight was cancelled, or overran a limit');
      case 'closed':
        this.#outbox.close();
        if (this.#end === undefined) this.stop('the flight is over for its node');
        return;
      case 'answer':
        this.#outbox.answered(message.ask);
        this.#asks.get(message.ask)?.(message.answer);
        this.#asks.delete(message.ask);
        return;
      case 'stored':
        this.#outbox.stored(message.pieces);
        this.#giveRoom();
    }
  }

  /** It is to end: nobody waits for it any more. */
  stop(why: string): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort(new BrokerError('cancelled', why));
    for (const settle of this.#asks.values()) settle({ kind: 'ended' });
    this.#asks.clear();
    this.#giveRoom();
  }

  async #work(run: ServedRun): Promise<void> {
    const context = this.#context(run);
    let end: { readonly error?: ErrorInfo } = {};
    let tell = (): void => undefined;
    try {
      await this.#answer(await this.#parts.handler(textOf(run.task.text), context));
      if (this.#abort.signal.aborted) end = { error: errorOf(this.#abort.signal.reason) };
    } catch (thrown) {
      end = { error: errorOf(thrown) };
      if (!this.#abort.signal.aborted) tell = () => this.#parts.onError(thrown, context);
    }
    for (const stream of ['stdout', 'stderr'] as const) this.#add(stream, new Uint8Array(), true);
    this.#end = end;
    this.#outbox.add({ type: 'end', key: this.key, ...end });
    // Last: should that throw, the flight has its end all the same.
    tell();
  }

  async #answer(answer: Awaited<ReturnType<Handler>>): Promise<void> {
    if (answer === undefined || answer === null) return;
    if (typeof answer === 'string' || answer instanceof Uint8Array) return this.#write('stdout', answer);
    for await (const piece of answer) {
      if (this.#abort.signal.aborted) break;
      await this.#write('stdout', piece);
    }
  }

  #context({ invocationId, flightId, run, session, task, environment }: ServedRun): RunContext {
    const { address, invoke } = this.#parts;
    const { signal } = this.#abort;
    return {
      ...{ address, flightId, invocationId, run, bytes: task.text, files: task.files, env: environment, signal },
      ...(session === undefined ? {} : { session }),
      write: (content, stream = 'stdout') => this.#write(stream, content),
      stderr: (content) => this.#write('stderr', content),
      progress: async (progress) => {
        this.#addPiece({ progress: bounded(progress) });
        await this.#room();
      },
      nameSession: (name) => this.#outbox.add(wellMade({ type: 'session', key: this.key, name })),
      ask: (question) => this.#ask(question),
      invoke: (target, text, options) => invoke(target, text, { signal, ...options }),
    };
  }

  async #write(stream: OutputStream, content: Content): Promise<void> {
    this.#add(stream, bytesOf(content), false);
    await this.#room();
  }

  #add(stream: OutputStream, bytes: Uint8Array, isEnd: boolean): void {
    const held = this.#unfinished[stream];
    let left = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    for (;;) {
      const { head, rest } = splitUtf8(left, maxOutputChunk, isEnd);
      left = rest;
      if (head.length === 0) break;
      // A copy: whoever wrote it may use its memory again.
      this.#addPiece({ stream, bytes: new Uint8Array(head) });
    }
    this.#unfinished[stream] = new Uint8Array(left);
  }

  #addPiece(piece: Piece): void {
    const message = { type: 'piece', key: this.key, number: this.#pieces + 1, piece } as const;
    this.#outbox.add('bytes' in piece ? message : wellMade(message));
    this.#pieces += 1;
  }

  /** Resolves when little enough is on its way. */
  async #room(): Promise<void> {
    while (!this.#outbox.hasRoom && !this.#abort.signal.aborted) await new Promise<void>((resolve) => this.#roomWanted.push(resolve));
  }

  #giveRoom(): void {
    for (const resolve of this.#roomWanted.splice(0)) resolve();
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#abort.signal.aborted || this.#end !== undefined) return { kind: 'ended' };
    const { reason = 'input', prompt, choices = [], timeoutMs } = typeof question === 'string' ? { prompt: question } : question;
    const { timeoutMs: _usual, ...bounded }: Ask = trimmed({ reason, prompt, choices });
    const number = this.#lastAsk + 1;
    const message = wellMade({ type: 'ask', key: this.key, number, ask: { ...bounded, ...(timeoutMs === undefined ? {} : { timeoutMs }) } });
    this.#lastAsk = number;
    return new Promise((resolve) => {
      this.#asks.set(number, resolve);
      this.#outbox.add(message);
    });
  }
}

/**
 * What the node would not take ends the connection, and with it all that the process serves: so it is told to the handler
 * that said it.
 * @throws BrokerError `invalid`
 */
function wellMade<Message extends FromServer>(message: Message): Message {
  try {
    const frame = encodeFromServer(message);
    decodeFromServer(frame);
    ServerFrame.encode(frame);
    return message;
  } catch (error) {
    throw error instanceof BrokerError ? error : invalid(`a ${message.type} is not as its type has it: ${String(error)}`);
  }
}

/** The agent's own words; of a BrokerError its code and hint too. */
function errorOf(thrown: unknown): ErrorInfo {
  if (thrown instanceof BrokerError) {
    const { code, message, hint } = thrown;
    return { code, message: message.slice(0, longestMessage), ...(hint === undefined ? {} : { hint: hint.slice(0, longestMessage) }) };
  }
  const message = thrown instanceof Error && thrown.message !== '' ? thrown.message : String(thrown);
  return { code: 'internal', message: message.slice(0, longestMessage) };
}

const longestMessage = 4096;
