/**
 * tailscaled's LocalAPI, as far as a node uses it. Reading needs no permission on Linux. Every call is bounded in time
 * and size and fails as BrokerError `unavailable`; `dial` says why in the daemon's own words.
 */
import type { Duplex } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import { formatHostPort } from '../../domain/host-port.ts';
import type { HostPort } from '../../domain/host-port.ts';
import type { Clock } from '../../domain/ports.ts';
import type { TailnetIdentity, TailnetStatus } from '../../domain/tailnet.ts';
import { quoted } from '../../domain/text.ts';
import { ask, open } from './exchange.ts';
import type { Answer } from './exchange.ts';
import { decodeNotify } from './notify.ts';
import type { Notify } from './notify.ts';
import { decodePing } from './ping.ts';
import type { Ping } from './ping.ts';
import type { LocalApiPlace } from './place.ts';
import { decodeStatus } from './status.ts';
import { decodeWhoIs } from './whois.ts';

export interface LocalApiOptions {
  readonly place: LocalApiPlace;
  readonly clock: Clock;
  /** Of each call, to its end; of a watch, until it begins. 5 s when left out. */
  readonly timeoutMs?: number;
  /** Of one answer, and of one line of a watch: 32 MiB, when left out, is a tailnet of more than 10,000 machines. */
  readonly mostBytes?: number;
}

const base = '/localapi/v0';
/** Initial state, and peers that change: without the second no peer is told at all on Linux. */
const watchMask = 2 | 4096;

export class LocalApi {
  readonly place: LocalApiPlace;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #mostBytes: number;

  constructor({ place, clock, timeoutMs = 5_000, mostBytes = 32 * 1024 * 1024 }: LocalApiOptions) {
    this.place = place;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#mostBytes = mostBytes;
  }

  async status({ peers = true, signal }: { readonly peers?: boolean; readonly signal?: AbortSignal } = {}): Promise<TailnetStatus> {
    return decodeStatus(expectOk(await this.#ask('GET', peers ? 'status' : 'status?peers=false', signal)));
  }

  /**
   * Who is at the other end of a connection, `undefined` when tailscaled knows nobody there. Asked of a tailscaled that
   * is not running it says nothing: such a one answers from a map that is no longer true.
   * @throws BrokerError `unavailable`, also when the tailnet is not up
   */
  async whois(remote: HostPort, signal?: AbortSignal): Promise<TailnetIdentity | undefined> {
    const { state, dnsSuffix } = await this.status({ peers: false, ...(signal === undefined ? {} : { signal }) });
    if (state !== 'Running') throw notRunning(state);
    const answer = await this.#ask('GET', `whois?addr=${encodeURIComponent(formatHostPort(remote))}&proto=tcp`, signal);
    return answer.status === 404 ? undefined : decodeWhoIs(expectOk(answer), dnsSuffix);
  }

  /** @param address an IP address of the tailnet */
  async ping(address: string, signal?: AbortSignal): Promise<Ping> {
    return decodePing(expectOk(await this.#ask('POST', `ping?ip=${encodeURIComponent(address)}&type=disco`, signal)));
  }

  /** A connection through tailscaled, which need not have a network interface. */
  async dial({ host, port }: HostPort, { timeoutMs = this.#timeoutMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<Duplex> {
    const headers = { upgrade: 'ts-dial', connection: 'upgrade', 'dial-host': host, 'dial-port': String(port), 'dial-network': 'tcp' };
    const { response, upgraded } = await open({ place: this.place, clock: this.#clock, method: 'POST', path: `${base}/dial`, headers, timeoutMs, signal });
    if (response.statusCode === 101 && upgraded !== undefined) return upgraded;
    const words = await firstWords(response);
    // 200 with nothing: the address is no peer's, and the caller is to dial it by itself.
    throw unavailable(response.statusCode === 200 ? `${host} is no address of the tailnet` : `tailscaled could not connect: ${words}`);
  }

  /**
   * Notices as they come, until the daemon ends, or throws this watcher out: then it is time to watch again. The first
   * comes at once. Nothing is said for hours when nothing changes.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<Notify, void> {
    const { response } = await open({
      place: this.place, clock: this.#clock, method: 'GET', path: `${base}/watch-ipn-bus?mask=${watchMask}`, timeoutMs: this.#timeoutMs, signal,
    });
    const onAbort = (): void => void response.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (response.statusCode !== 200) throw unavailable(`tailscaled lets nobody watch: ${response.statusCode} ${await firstWords(response)}`);
      for await (const line of linesOf(response as AsyncIterable<Buffer>, this.#mostBytes)) {
        const notify = decodeNotify(line);
        yield notify;
        if (signal.aborted) return;
        if (notify.error !== undefined) throw unavailable(`tailscaled ended the watch: ${quoted(notify.error, 200)}`);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof BrokerError ? error : new BrokerError('unavailable', 'tailscaled ended the watch', { cause: error });
    } finally {
      signal.removeEventListener('abort', onAbort);
      response.destroy();
    }
  }

  #ask(method: 'GET' | 'POST', path: string, signal: AbortSignal | undefined): Promise<Answer> {
    return ask({ place: this.place, clock: this.#clock, method, path: `${base}/${path}`, timeoutMs: this.#timeoutMs, mostBytes: this.#mostBytes, signal });
  }
}

export function notRunning(state: string): BrokerError {
  const hints: Readonly<Record<string, string>> = {
    NeedsLogin: 'log in: tailscale up',
    NeedsMachineAuth: 'an administrator of the tailnet has to approve this machine',
    Stopped: 'start it: tailscale up',
  };
  return unavailable(`the tailnet is not up: tailscaled is in state ${state}`, hints[state] ?? 'see tailscale status');
}

function expectOk({ status, body }: Answer): string {
  if (status === 200) return body;
  throw unavailable(`tailscaled answers ${status}: ${quoted(body.trim(), 200)}`);
}

async function firstWords(body: AsyncIterable<Buffer>): Promise<string> {
  for await (const chunk of body) return quoted(chunk.toString('utf8').trim(), 200);
  return '(no reason given)';
}

async function* linesOf(chunks: AsyncIterable<Buffer>, mostBytes: number): AsyncGenerator<string, void> {
  const decoder = new StringDecoder('utf8');
  const parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let rest = decoder.write(chunk);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = parts.join('') + rest.slice(0, end);
      parts.length = 0;
      length = 0;
      rest = rest.slice(end + 1);
      if (line.trim() !== '') yield line;
    }
    length += rest.length;
    if (length > mostBytes) throw unavailable('tailscaled sends a line without end');
    if (rest !== '') parts.push(rest);
  }
}
