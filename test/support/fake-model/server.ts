/**
 * A model on loopback for real agents, with no account and no network: it speaks what Claude Code, Codex, Gemini CLI and
 * OpenCode send to theirs, answers by a script, and remembers what it was asked.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { readMessages, streamMessage, wholeMessage } from './anthropic.ts';
import type { MessagesRequest } from './anthropic.ts';
import { readChat, streamChat } from './chat.ts';
import type { ChatRequest } from './chat.ts';
import { candidates, readGenerate } from './gemini.ts';
import type { GenerateRequest } from './gemini.ts';
import { Gates } from './gates.ts';
import { conversation } from './conversation.ts';
import { readResponses, streamResponse } from './responses.ts';
import type { ResponsesRequest } from './responses.ts';
import type { Piece, Prompt, Script } from './script.ts';
import { serverSent } from './server-sent.ts';

export interface Asked {
  readonly path: string;
  readonly prompt: Prompt;
  /** `aborted`: the agent hung up before the end. `failed`: the script threw. */
  state: 'answering' | 'answered' | 'aborted' | 'failed';
}

export class FakeModel {
  /** What models were asked, in order of arrival. */
  readonly asked: Asked[] = [];
  /** What came that is no question this server knows, as `METHOD path`. */
  readonly strays: string[] = [];
  readonly gates = new Gates();
  readonly #script: Script;
  readonly #server: Server;

  private constructor(script: Script) {
    this.#script = script;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => fail(response, error));
    });
  }

  /** @param port 0 chooses one */
  static async start({ script = conversation, port = 0 }: { readonly script?: Script; readonly port?: number } = {}): Promise<FakeModel> {
    const model = new FakeModel(script);
    await new Promise<void>((resolve, reject) => model.#server.once('error', reject).listen(port, '127.0.0.1', resolve));
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The questions of turns, without the agents' side jobs. */
  get turns(): readonly Asked[] {
    return this.asked.filter(({ prompt }) => prompt.tools.length > 0);
  }

  /** Ends answers that still go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.url);
    const body = await bodyOf(request);
    const id = String(this.asked.length + 1);
    const gemini = /\/models\/([^/:]+):(streamGenerateContent|generateContent)$/.exec(pathname);
    if (request.method === 'POST' && pathname.endsWith('/v1/messages')) {
      const asked = body as MessagesRequest;
      const prompt = readMessages(asked);
      const answer = { id, model: prompt.model };
      await this.#answer(pathname, prompt, response, async (pieces) => {
        if (asked.stream === true) await streamMessage(pieces, answer, serverSent(response));
        else json(response, await wholeMessage(pieces, answer));
      });
    } else if (request.method === 'POST' && pathname.endsWith('/responses')) {
      const prompt = readResponses(body as ResponsesRequest);
      await this.#answer(pathname, prompt, response, (pieces) => streamResponse(pieces, { id, model: prompt.model, tools: prompt.tools }, serverSent(response)));
    } else if (request.method === 'POST' && pathname.endsWith('/chat/completions')) {
      const prompt = readChat(body as ChatRequest);
      await this.#answer(pathname, prompt, response, async (pieces) => {
        await streamChat(pieces, { id, model: prompt.model }, serverSent(response));
        response.write('data: [DONE]\n\n');
      });
    } else if (request.method === 'POST' && gemini?.[1] !== undefined) {
      const [, model, call] = gemini;
      await this.#answer(pathname, readGenerate(body as GenerateRequest, model), response, async (pieces) => {
        if (call === 'streamGenerateContent') {
          const sink = serverSent(response);
          for await (const candidate of candidates(pieces, model)) sink.send(candidate);
        } else {
          for await (const candidate of candidates(pieces, model)) if (!response.headersSent) json(response, candidate);
        }
      });
    } else {
      this.#aside(request.method ?? '', pathname, response);
    }
  }

  /** What agents ask besides: how many tokens, which models, whether anybody is there. */
  #aside(method: string, pathname: string, response: ServerResponse): void {
    if (pathname.endsWith('/count_tokens')) json(response, { input_tokens: 1 });
    else if (pathname.endsWith(':countTokens')) json(response, { totalTokens: 1 });
    else if (pathname.endsWith('/models')) json(response, { data: [], models: [], has_more: false });
    else {
      this.strays.push(`${method} ${pathname}`);
      json(response, { error: { message: 'not known to the fake model' } }, 404);
    }
  }

  async #answer(path: string, prompt: Prompt, response: ServerResponse, render: (pieces: AsyncIterable<Piece>) => Promise<void>): Promise<void> {
    const asked: Asked = { path, prompt, state: 'answering' };
    this.asked.push(asked);
    const left = new AbortController();
    response.once('close', () => left.abort(new Error('the agent hung up')));
    const { signal } = left;
    try {
      const script = this.#script(prompt, { signal, gate: (name) => this.gates.pass(name, signal) });
      await render(await begun(untilAbort(script, signal)));
      asked.state = 'answered';
      response.end();
    } catch (error) {
      asked.state = signal.aborted ? 'aborted' : 'failed';
      if (!signal.aborted) throw error;
    }
  }
}

/** The same pieces, the first of them there: a script that can't begin fails before the answer has a status. */
async function begun(pieces: AsyncGenerator<Piece>): Promise<AsyncIterable<Piece>> {
  const first = await pieces.next();
  return (async function* all() {
    if (first.done !== true) yield first.value;
    yield* pieces;
  })();
}

async function* untilAbort(pieces: AsyncIterable<Piece> | Iterable<Piece>, signal: AbortSignal): AsyncGenerator<Piece> {
  for await (const piece of pieces) {
    signal.throwIfAborted();
    yield piece;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const body = await text(request);
  return body === '' ? {} : JSON.parse(body);
}

function json(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** In the answer, so that the agent's own message shows it. */
function fail(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) response.destroy();
  else json(response, { type: 'error', error: { type: 'invalid_request_error', message } }, 400);
}
