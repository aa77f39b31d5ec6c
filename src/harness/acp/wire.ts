/**
 * Messages of an agent on its stdin and stdout, one JSON object a line, as the library's stream. Reports of a turn
 * (`session/update`) are handed over here, one after the other, each before anything that came behind it is read: so a
 * slow reader slows the agent down, and the end of a turn is seen after all of it. What the library could not bear, or would
 * complain about on the node's stderr, does not reach it.
 */
import { methods, type AnyMessage, type JsonRpcId, type Stream } from '@agentclientprotocol/sdk';
import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BrokerError } from '../../domain/errors.ts';
import { Lines, TooLong } from './lines.ts';
import { isHeavy } from './weight.ts';

/** Bytes of one message. */
const longestMessage = 16 * 1024 * 1024;
/** Bytes that are no messages, with no message in between, before a program is taken for something else than an agent. */
const mostStray = 256 * 1024;
/** Requests of the agent that wait for their answer; nothing more is read from it while there are as many. */
const mostOpen = 32;
/** Looks at the pipe of an agent that goes on writing, before what it says counts as said now. */
const mostLooks = 64;

export interface WireParts {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** A report. Rejects when nobody can take it: then nothing more is read. */
  readonly onUpdate: (params: unknown) => Promise<void>;
  /** A line that is no message. */
  readonly onStray: (line: Uint8Array) => void;
}

export class Wire {
  readonly stream: Stream;
  readonly #parts: WireParts;
  readonly #incoming = Promise.withResolvers<ReadableStreamDefaultController<AnyMessage>>();
  /** Requests of ours without an answer. */
  readonly #awaited = new Set<JsonRpcId>();
  #open = 0;
  /** Pieces read so far. */
  #pieces = 0;
  #isClosed = false;
  #stray = 0;
  #roomCame: () => void = () => undefined;

  constructor(parts: WireParts) {
    this.#parts = parts;
    // Errors of a write show in its callback; those that come later mean that the agent is gone, which is seen elsewhere.
    parts.stdin.on('error', () => undefined);
    this.stream = {
      readable: new ReadableStream<AnyMessage>({ start: (controller) => this.#incoming.resolve(controller) }),
      writable: new WritableStream<AnyMessage>({ write: (message) => this.#write(message) }),
    };
  }

  /**
   * Reads until the agent closes its stdout, or what it writes can't be borne: then the stream fails with the reason.
   * Never rejects.
   */
  async run(): Promise<void> {
    const { stdout } = this.#parts;
    const incoming = await this.#incoming.promise;
    try {
      const lines = new Lines(longestMessage);
      for await (const chunk of chunksOf(stdout)) {
        this.#pieces += 1;
        for (const line of lines.push(chunk)) await this.#take(line, incoming);
      }
      await this.#take(lines.rest(), incoming);
      incoming.close();
    } catch (error) {
      incoming.error(error instanceof TooLong ? notAnAgent(`it wrote a line of more than ${longestMessage / 1024 / 1024} MiB`) : error);
    } finally {
      stdout.destroy();
    }
  }

  /** Resolves when what the agent had written until now was read, and handed over as far as somebody takes it. */
  async readDry(): Promise<void> {
    let looks = 0;
    for (let before = -1; before !== this.#pieces && looks < mostLooks; looks += 1) {
      before = this.#pieces;
      // The event loop looks at the pipe between the two: the first may come in the same turn.
      await nextTurn();
      await nextTurn();
    }
  }

  /** Nothing more is read. */
  close(): void {
    this.#isClosed = true;
    this.#roomCame();
    this.#parts.stdout.destroy();
    this.#parts.stdin.destroy();
  }

  async #take(line: Buffer, incoming: ReadableStreamDefaultController<AnyMessage>): Promise<void> {
    if (isHeavy(line)) throw notAnAgent('it wrote a line of more values than any message has');
    const message = messageIn(line);
    if (message === undefined) {
      this.#lose(line);
      return;
    }
    this.#stray = 0;
    if (!('method' in message)) {
      // Answers to nothing are dropped: the library would write of them.
      if (this.#awaited.delete(message.id)) incoming.enqueue(message);
      return;
    }
    if ('id' in message) {
      this.#open += 1;
      incoming.enqueue(message);
      while (this.#open >= mostOpen && !this.#isClosed) await this.#room();
      return;
    }
    if (message.method === methods.client.session.update) await this.#parts.onUpdate(message.params);
    else if (message.method === methods.protocol.cancelRequest) incoming.enqueue(message);
  }

  #lose(line: Buffer): void {
    if (line.length === 0) return;
    this.#stray += line.length;
    this.#parts.onStray(line);
    if (this.#stray > mostStray) throw notAnAgent('what it writes to stdout is not the Agent Client Protocol');
  }

  async #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#roomCame = (): void => resolve(undefined);
    await promise;
  }

  #write(message: AnyMessage): Promise<void> {
    if ('method' in message) {
      if ('id' in message) this.#awaited.add(message.id);
    } else {
      this.#open -= 1;
      this.#roomCame();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#parts.stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    return promise;
  }
}

function notAnAgent(why: string): BrokerError {
  return new BrokerError('incompatible', `this is no agent of the protocol that Beckon speaks with it: ${why}`, { hint: 'run its command by hand to see what it is; the option that makes it speak ACP may be missing' });
}

/** Undefined when the line is no message as JSON-RPC 2.0 has it. */
function messageIn(line: Buffer): AnyMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    // Not even JSON.
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('jsonrpc' in value) || value.jsonrpc !== '2.0') return undefined;
  const { id, method, error } = value as Record<string, unknown>;
  if ('id' in value && typeof id !== 'string' && typeof id !== 'number') return undefined;
  if ('method' in value) return typeof method === 'string' ? (value as unknown as AnyMessage) : undefined;
  if (!('id' in value) || 'result' in value === 'error' in value) return undefined;
  return 'error' in value && !isError(error) ? undefined : (value as unknown as AnyMessage);
}

function isError(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'code' in value && Number.isInteger(value.code) && 'message' in value && typeof value.message === 'string';
}

/** Ends, and does not fail, when the pipe breaks or is destroyed. */
async function* chunksOf(source: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) yield chunk as Buffer;
  } catch (error) {
    // Of the pipe: all that came before was handed over. An error of the reader's does not come this way.
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
}
