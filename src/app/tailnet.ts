/** The tailnet as a node uses it: whether at all, which machines of it, and how to reach them. */
import { isIP } from 'node:net';
import type { DiscoverySource } from '../domain/discovery-port.ts';
import { invalid } from '../domain/errors.ts';
import { meshPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Clock, Log, Random } from '../domain/ports.ts';
import type { TailnetStatus, TailnetView } from '../domain/tailnet.ts';
import { forward } from '../discovery/tailscale/forwarder.ts';
import { TailscaleHttpApi } from '../discovery/tailscale/http-api.ts';
import type { ApiCredentials } from '../discovery/tailscale/http-api.ts';
import { HttpSource } from '../discovery/tailscale/http-source.ts';
import { TailnetSource } from '../discovery/tailscale/source.ts';
import type { MachineFilter } from '../discovery/tailscale/source.ts';
import { Tailnet } from '../discovery/tailscale/tailnet.ts';
import { directly } from '../mesh/route.ts';
import type { Route } from '../mesh/route.ts';
import { flawOfOwner } from '../trust/certificate.ts';
import type { Detour } from '../trust/https-call.ts';

export type TailscaleFlag = 'auto' | 'off' | { readonly socket: string };

/** @param text as `--tailscale` has it; `auto` when it was never given. @throws BrokerError `invalid` */
export function parseTailscaleFlag(text: string | undefined): TailscaleFlag {
  if (text === undefined || text === 'auto') return 'auto';
  if (text === 'off') return 'off';
  if (text.startsWith('/')) return { socket: text };
  throw invalid(`--tailscale ${JSON.stringify(text)} is none of auto, off and the absolute path of a socket`, 'for example: --tailscale /var/run/tailscale/tailscaled.sock');
}

export interface TailnetParts {
  readonly flag: TailscaleFlag;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Undefined when Tailscale is off. */
export function createTailnet({ flag, env, clock, random, log }: TailnetParts): Tailnet | undefined {
  if (flag === 'off') return undefined;
  const at = flag === 'auto' ? 'usual' : flag;
  return new Tailnet({ at, platform: process.platform, uid: process.getuid?.() ?? 0, searchPath: env['PATH'] ?? '/usr/bin:/bin', clock, random, log });
}

/** Where machines of the tailnet are found. @throws BrokerError `invalid`, naming the variable that is wrong */
export function tailnetSources(tailnet: Tailnet | undefined, { env, clock, random, log }: Omit<TailnetParts, 'flag'>): readonly DiscoverySource[] {
  if (tailnet === undefined) return [];
  const filter = readFilter(env['BECKON_DISCOVER']);
  const credentials = readCredentials(env);
  const local = new TailnetSource({ tailnet, port: meshPort, filter, log });
  if (credentials === undefined) return [local];
  const { BECKON_TAILSCALE_API_URL: baseUrl, BECKON_TAILNET: name } = env;
  const api = new TailscaleHttpApi({
    credentials,
    clock,
    ...(baseUrl === undefined || baseUrl === '' ? {} : { baseUrl: readUrl(baseUrl) }),
    ...(name === undefined || name === '' ? {} : { tailnet: name }),
  });
  return [local, new HttpSource({ api, port: meshPort, filter, clock, random, log })];
}

function readCredentials(env: TailnetParts['env']): ApiCredentials | undefined {
  const { BECKON_TAILSCALE_API_KEY: key = '', BECKON_TAILSCALE_CLIENT_ID: clientId = '', BECKON_TAILSCALE_CLIENT_SECRET: clientSecret = '' } = env;
  if (key !== '') return { kind: 'key', key };
  if ((clientId === '') !== (clientSecret === '')) throw invalid('BECKON_TAILSCALE_CLIENT_ID and BECKON_TAILSCALE_CLIENT_SECRET belong together', 'set both, or none');
  return clientId === '' ? undefined : { kind: 'client', clientId, clientSecret };
}

function readUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw invalid('BECKON_TAILSCALE_API_URL is no http or https URL', 'for example https://headscale.example.com');
  return text.replace(/\/+$/, '');
}

/** `tag:broker,ann@example.com,cap:example.com/cap/beckon`: what has a prefix is a tag or a capability, the rest are users. */
export function readFilter(text: string | undefined): MachineFilter {
  const parts = (text ?? '').split(',').map((each) => each.trim()).filter((each) => each !== '');
  return {
    tags: parts.filter((each) => each.startsWith('tag:')),
    capabilities: parts.filter((each) => each.startsWith('cap:')).map((each) => each.slice('cap:'.length)),
    users: parts.filter((each) => !/^(tag|cap):/.test(each)),
  };
}

/**
 * Machines of the tailnet are reached through tailscaled when that has no network interface, all else directly.
 * @param directory for sockets, this user's alone
 */
export function tailnetRoute(tailnet: Tailnet | undefined, directory: string): Route {
  return async (address, options) => {
    const inside = behindTailscaled(tailnet?.view, () => parseHostPort(address));
    if (tailnet === undefined || inside === undefined) return directly(address, options);
    const offer = await forward(tailnet, inside, { directory, timeoutMs: options.lookMs ?? dialMs, signal: options.signal });
    return { target: `unix:${offer.path}`, close: () => offer.close() };
  };
}

/** What is known of it; of a node that is down, after one look. Undefined: Tailscale is off. */
export async function viewNow(tailnet: Tailnet | undefined): Promise<TailnetView | undefined> {
  if (tailnet?.view.kind === 'unknown') {
    await tailnet.start();
    await tailnet.stop();
  }
  return tailnet?.view;
}

/** Whom a machine belongs to by its tailnet: its user, or, when it is tagged, its first tag. Undefined when the tailnet does not say. */
export function ownerByTailnet(view: TailnetView | undefined): string | undefined {
  const self = view?.kind === 'up' ? view.status.self : undefined;
  const owner = self?.user ?? self?.tags.toSorted()[0];
  return owner === undefined || flawOfOwner(owner) !== undefined ? undefined : owner;
}

/** The same for what needs no more than a stream. */
export function tailnetDetour(tailnet: Tailnet | undefined): Detour {
  return async (address, timeoutMs) => {
    const inside = behindTailscaled(await viewNow(tailnet), () => address);
    return inside === undefined ? undefined : tailnet?.dial(inside, { timeoutMs, signal: new AbortController().signal });
  };
}

const dialMs = 3_000;

/** What only tailscaled reaches, for want of a network interface; undefined for all that is reached directly. */
function behindTailscaled(view: TailnetView | undefined, address: () => HostPort): HostPort | undefined {
  return view?.kind === 'up' && view.status.isUserspace ? insideTailnet(address(), view.status) : undefined;
}

/** As an address of the tailnet; undefined when it is none. */
export function insideTailnet({ host, port }: HostPort, { peers, dnsSuffix }: TailnetStatus): HostPort | undefined {
  if (isIP(host) !== 0) return isOfTailnet(host) || peers.some(({ addresses }) => addresses.includes(host)) ? { host, port } : undefined;
  const name = host.toLowerCase().replace(/\.$/, '');
  const named = peers.find(({ dnsName }) => dnsName !== '' && (dnsName === name || dnsName === `${name}.${dnsSuffix}`));
  const [first] = named?.addresses ?? [];
  return first === undefined ? undefined : { host: first, port };
}

/** 100.64.0.0/10 and Tailscale's part of the unique local addresses. */
export function isOfTailnet(host: string): boolean {
  const match = /^100\.(\d+)\./.exec(host);
  if (isIP(host) === 4) return match !== null && Number(match[1]) >= 64 && Number(match[1]) < 128;
  return host.toLowerCase().startsWith('fd7a:115c:a1e0:');
}
