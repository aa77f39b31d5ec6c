/**
 * Machines of a tailnet by its coordination server (API v2 of Tailscale; headscale has a compatible one), for where no
 * local tailscaled can be asked. No page has an end there: one answer holds all machines.
 */
import { z } from 'zod';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports.ts';
import { readBy } from '../../domain/read-by.ts';
import type { TailnetMachine } from '../../domain/tailnet.ts';
import { quoted } from '../../domain/text.ts';
import { decode, flag, id, list, text } from './json.ts';
import { inOrder, withoutFinalDot } from './status.ts';

export type ApiCredentials =
  | { readonly kind: 'key'; readonly key: string }
  /** Scope `devices:core:read`. */
  | { readonly kind: 'client'; readonly clientId: string; readonly clientSecret: string };

export interface HttpApiOptions {
  readonly credentials: ApiCredentials;
  readonly clock: Clock;
  /** Without a final slash. */
  readonly baseUrl?: string;
  /** `-` is the tailnet of the credentials. */
  readonly tailnet?: string;
  readonly timeoutMs?: number;
  readonly mostBytes?: number;
}

export const usualBaseUrl = 'https://api.tailscale.com';
/** A token is fetched anew so long before its end. */
const spareMs = 60_000;

/** The key in `BrokerError.detail` of how long the server asks to be left alone, ms. */
export const retryAfterDetail = 'retryAfterMs';

const devices = z.object({ devices: list(z.unknown()) });
const device = z.object({
  nodeId: z.string().min(1),
  name: text,
  hostname: text,
  os: text,
  user: id,
  addresses: list(z.string()),
  tags: list(z.string()),
  authorized: z.boolean().nullish(),
  isExternal: flag,
  expires: text,
  keyExpiryDisabled: flag,
  connectedToControl: z.boolean().nullish(),
});
const token = z.object({ access_token: z.string().min(1), expires_in: z.number().nullish() });

export class TailscaleHttpApi {
  readonly #options: HttpApiOptions;
  #token: { readonly value: string; readonly untilMs: number } | undefined;

  constructor(options: HttpApiOptions) {
    this.#options = options;
  }

  /** @throws BrokerError `unavailable`, with `retryAfterMs` in its detail when the server named a time; `denied` for wrong credentials */
  async devices(signal?: AbortSignal): Promise<readonly TailnetMachine[]> {
    const { tailnet = '-', clock } = this.#options;
    const path = `/api/v2/tailnet/${encodeURIComponent(tailnet)}/devices?fields=all`;
    const answer = await this.#authorized(path, signal);
    return decode(devices, answer, 'the list of devices').devices.flatMap((value) => {
      const result = readBy(device, value);
      // Machines that wait for approval are not in the tailnet yet.
      if (result?.success !== true || result.data.authorized === false) return [];
      return [machineOf(result.data, clock.now())];
    });
  }

  async #authorized(path: string, signal: AbortSignal | undefined): Promise<string> {
    const first = await this.#call('GET', path, { authorization: await this.#authorization(signal) }, undefined, signal);
    if (first.status !== 401 || this.#options.credentials.kind === 'key') return expectOk(first);
    // Withdrawn before its time.
    this.#token = undefined;
    return expectOk(await this.#call('GET', path, { authorization: await this.#authorization(signal) }, undefined, signal));
  }

  async #authorization(signal: AbortSignal | undefined): Promise<string> {
    const { credentials, clock } = this.#options;
    if (credentials.kind === 'key') return `Basic ${Buffer.from(`${credentials.key}:`).toString('base64')}`;
    if (this.#token === undefined || this.#token.untilMs <= clock.monotonic()) {
      const form = new URLSearchParams({ client_id: credentials.clientId, client_secret: credentials.clientSecret, grant_type: 'client_credentials' });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const answer = decode(token, expectOk(await this.#call('POST', '/api/v2/oauth/token', headers, form.toString(), signal)), 'the token');
      this.#token = { value: answer.access_token, untilMs: clock.monotonic() + (answer.expires_in ?? 3600) * 1000 - spareMs };
    }
    return `Bearer ${this.#token.value}`;
  }

  async #call(method: string, path: string, headers: Record<string, string>, body: string | undefined, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const { clock, baseUrl = usualBaseUrl, timeoutMs = 15_000, mostBytes = 64 * 1024 * 1024 } = this.#options;
    const late = new AbortController();
    const cancelTimer = clock.setTimer(timeoutMs, () => late.abort());
    const where = new URL(baseUrl).host;
    try {
      const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      // A redirect would take the credentials somewhere else.
      const response = await fetch(`${baseUrl}${path}`, { method, headers, signal: either, redirect: 'error', ...(body === undefined ? {} : { body }) });
      const retryAfterMs = secondsOf(response.headers.get('retry-after'));
      return { where, status: response.status, body: await readAll(response, mostBytes, where), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      const why = late.signal.aborted ? `does not answer within ${timeoutMs / 1000} s` : "can't be reached";
      throw new BrokerError('unavailable', `${where} ${why}`, { cause: error });
    } finally {
      cancelTimer();
    }
  }
}

interface HttpAnswer {
  readonly where: string;
  readonly status: number;
  readonly body: string;
  readonly retryAfterMs?: number;
}

function expectOk({ where, status, body, retryAfterMs }: HttpAnswer): string {
  if (status === 200) return body;
  const words = `${where} answers ${status}: ${quoted(body.trim(), 200)}`;
  if (status === 401 || status === 403) throw new BrokerError('denied', words, { hint: 'are the API key or the client id and secret right, with the scope devices:core:read?' });
  throw new BrokerError('unavailable', words, { ...(retryAfterMs === undefined ? {} : { detail: { [retryAfterDetail]: String(retryAfterMs) } }) });
}

async function readAll(response: Response, mostBytes: number, where: string): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > mostBytes) throw unavailable(`${where} answers more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function machineOf(read: z.infer<typeof device>, nowMs: number): TailnetMachine {
  const expiresMs = Date.parse(read.expires);
  const isPerson = read.tags.length === 0 && read.user !== '';
  return {
    id: read.nodeId,
    hostName: read.hostname,
    dnsName: withoutFinalDot(read.name).toLowerCase(),
    os: read.os,
    ...(isPerson ? { user: read.user } : {}),
    tags: read.tags,
    addresses: inOrder(read.addresses),
    isOnline: read.connectedToControl ?? true,
    // Zero time, year 1: it never ends.
    isExpired: !read.keyExpiryDisabled && expiresMs > 0 && expiresMs <= nowMs,
    isShared: read.isExternal,
    isExit: read.name.toLowerCase().endsWith('.mullvad.ts.net'),
  };
}

/** Seconds alone: dates in this header are rare, and then the usual wait is right. */
function secondsOf(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header.trim()) ? Number(header) * 1000 : undefined;
}
