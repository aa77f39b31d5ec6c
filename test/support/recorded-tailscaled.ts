/** Answers of a real tailscaled, replayed at a socket: see fixtures/tailscale/README.md. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';

interface Recorded {
  readonly request: { readonly method: string; readonly path: string; readonly host: string; readonly origin?: string };
  readonly response: { readonly status: number; readonly contentType: string; readonly body: unknown };
}

export function fixture(name: string): string {
  return readFileSync(new URL(`../fixtures/tailscale/${name}`, import.meta.url), 'utf8');
}

export function recorded(name: string): Recorded {
  return JSON.parse(fixture(`${name}.json`)) as Recorded;
}

export function bodyOf({ response: { body } }: Recorded): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

/** The notices of a recorded watch, a line each. */
export function recordedBus(name: string): readonly string[] {
  const lines = fixture(name).split('\n').filter((line) => line !== '');
  return lines.flatMap((line) => {
    const { notify } = JSON.parse(line) as { notify?: object };
    return notify === undefined ? [] : [JSON.stringify(notify)];
  });
}

export class RecordedTailscaled implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Answers as recorded in these, by method and path; the first that fits. Its bus is the recorded one, at once. */
  static async start(path: string, ...names: readonly string[]): Promise<RecordedTailscaled> {
    const all = names.map(recorded);
    const server = createServer(({ method, url, headers }, response) => {
      const plain = decodeURIComponent(url ?? '');
      if (headers.host !== 'local-tailscaled.sock') return void response.writeHead(403).end(bodyOf(recorded('refused-wrong-host')));
      if (plain === '/localapi/v0/watch-ipn-bus?mask=4098') return void response.writeHead(200, { 'content-type': 'application/json' }).end(`${recordedBus('bus-4098.ndjson').join('\n')}\n`);
      const found = all.find(({ request }) => request.method === method && request.path === plain);
      if (found === undefined) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('not recorded\n');
      response.writeHead(found.response.status, { 'content-type': found.response.contentType }).end(bodyOf(found));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return new RecordedTailscaled(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
