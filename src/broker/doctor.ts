/** The checks that only a node that runs can make of itself: its store, its peers, how they see it. */
import { agentsCheck, clockCheck, clonesCheck, databaseCheck, meshCheck, peersCheck, reachableCheck } from '../domain/checks.ts';
import type { Check, DialledBack } from '../domain/checks.ts';
import { toBrokerError } from '../domain/errors.ts';
import { belongs } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { Self } from './self.ts';

/** Peers that are asked to dial back. */
const mostAsked = 3;
/** A peer tries all addresses at once, for 3 s. */
const dialBackMs = 10_000;
const pingMs = 3_000;
/** Clocks compared. */
const mostClocks = 16;

export interface DoctorParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  /** What is outside the core: the network port, certificates, the tailnet. */
  readonly outside: () => Promise<readonly Check[]>;
}

/** Never rejects for what it finds. */
export async function examineNode(parts: DoctorParts): Promise<readonly Check[]> {
  const { store, self, mesh, outside } = parts;
  const links = mesh().links();
  const peers = mesh().peers();
  const isAlone = store.read.members().every((each) => each.nodeId === self.nodeId || !belongs(each));
  const [database, others, reachable, skews] = await Promise.all([
    store.inspect.quickCheck(),
    outside(),
    Promise.all(links.slice(0, mostAsked).map(dialBack)),
    Promise.all(links.slice(0, mostClocks).map((link) => skewOf(link, parts.clock))),
  ]);
  const agents = store.read.ownRegistrations().map(({ address, available, unavailableWhy }) => ({ address, available, ...(unavailableWhy === undefined ? {} : { why: unavailableWhy }) }));
  const member = self.mesh();
  return [
    databaseCheck(database),
    ...others,
    meshCheck(member?.name, store.read.removedFrom()),
    ...(member === undefined ? [] : [peersCheck(peers), ...clonesCheck(mesh().clones()), reachableCheck(reachable, isAlone), clockCheck(skews.filter((each) => each !== undefined))]),
    agentsCheck(agents),
  ];
}

async function dialBack(link: Link): Promise<DialledBack> {
  const { name } = link.peer;
  try {
    const { results } = await link.ask({ type: 'dial_back' }, dialBackMs);
    return { name, results };
  } catch (error) {
    return { name, why: toBrokerError(error).message };
  }
}

/** The middle of the round trip is when the peer looked at its clock. */
async function skewOf(link: Link, clock: Clock): Promise<{ name: string; aheadMs: number } | undefined> {
  const beganMs = clock.monotonic();
  const { nowMs } = await link.ask({ type: 'ping' }, pingMs).catch(() => ({ nowMs: undefined }));
  if (nowMs === undefined) return undefined;
  const roundTripMs = clock.monotonic() - beganMs;
  return { name: link.peer.name, aheadMs: Math.round(nowMs - (clock.now() - roundTripMs / 2)) };
}
