/** Asks the machines that may run a node, at most 16 at once, whether they let others into a mesh, and what they would say to this one. */
import { isIP } from 'node:net';
import type { Candidate } from '../domain/discovery-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import { formatHostPort, parseHostPort } from '../domain/host-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { wordsOf } from '../domain/system-error.ts';
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import type { Route } from '../mesh/route.ts';
import type { Detour } from '../trust/https-call.ts';
import { askIssuer, IssuerRefusal, meetIssuer } from '../trust/issuer-call.ts';
import type { IssuerCall, KnownIssuer } from '../trust/issuer-call.ts';
import { identifyListener } from './identify.ts';
import { groupByMesh } from './mesh-choice.ts';
import type { FoundIssuer, FoundMesh } from './mesh-choice.ts';

const mostAtOnce = 16;
/** Of many: whether anything answers at all. */
const lookMs = 300;
const callMs = 3_000;

export interface LookParts {
  readonly tailnet: Pick<Tailnet, 'view' | 'whois' | 'start' | 'stop'>;
  readonly route: Route;
  readonly detour: Detour;
  readonly clock: Clock;
  readonly log: Log;
}

/** Meshes that answer, each with its issuers. Only machines that the tailnet vouches for are believed. Never rejects. */
export async function lookForMeshes(candidates: readonly Candidate[], parts: LookParts, signal: AbortSignal): Promise<readonly FoundMesh[]> {
  const machines = [...new Map(candidates.map((each) => [each.addresses[0] ?? '', each])).values()];
  const isCrowded = machines.length > mostAtOnce;
  const found: (FoundIssuer & { readonly meshName: string })[] = [];
  const waiting = machines.toSorted((a, b) => Number(b.isOnline) - Number(a.isOnline));
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const issuer = await issuerOn(next, parts, isCrowded, signal);
      if (issuer !== undefined) found.push(issuer);
    }
  };
  await Promise.all(Array.from({ length: mostAtOnce }, work));
  return groupByMesh(found);
}

async function issuerOn(
  { addresses }: Candidate,
  parts: LookParts,
  isCrowded: boolean,
  signal: AbortSignal,
): Promise<(FoundIssuer & { readonly meshName: string }) | undefined> {
  for (const address of isCrowded ? addresses.slice(0, 1) : addresses) {
    try {
      if (isCrowded) (await parts.route(address, { clock: parts.clock, signal, lookMs })).close();
      const call = callTo(address, parts, signal);
      const known = await meetIssuer(parseHostPort(address), call);
      return { known, machine: await identifyListener(parts.tailnet, known.address), ...(await adviceOf(known, call)) };
    } catch (error) {
      // Most run no node. A node that is to be believed and is not says so by its reason.
      parts.log.debug({ address, why: wordsOf(error), code: toBrokerError(error).code }, 'no mesh to enter there');
    }
  }
  return undefined;
}

async function adviceOf(known: KnownIssuer, call: IssuerCall): Promise<{ meshName: string; isAdmissible: boolean; why: string }> {
  try {
    return await askIssuer(known, call);
  } catch (error) {
    if (error instanceof IssuerRefusal) return { meshName: '', isAdmissible: false, why: error.error.message };
    throw error;
  }
}

/** From this machine's own address in the tailnet, so that both ends speak through it. */
export function callTo(address: string, { tailnet, clock, detour }: Pick<LookParts, 'tailnet' | 'clock' | 'detour'>, signal: AbortSignal): IssuerCall {
  const { view } = tailnet;
  const family = isIP(parseHostPort(address).host);
  const own = view.kind === 'up' && !view.status.isUserspace && family !== 0 ? view.status.addresses.find((each) => isIP(each) === family) : undefined;
  return { clock, timeoutMs: callMs, signal, detour, ...(own === undefined ? {} : { localAddress: own }) };
}

export const showIssuer = ({ address }: KnownIssuer): string => formatHostPort(address);
