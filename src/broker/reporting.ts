/** One page about the mesh: what is not well here, what each other node says of itself, and what can't be known of those that do not answer. */
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { NodeReport } from '../domain/observation.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Clock } from '../domain/ports.ts';
import { slowAgents } from '../domain/slow-agents.ts';
import type { Store } from '../domain/store-port.ts';
import type { NodeStatus } from './api.ts';
import type { AskMembers } from './ask-members.ts';
import type { Nodes } from './nodes.ts';
import type { MeshReport, Names, ReportGap } from './operator-api.ts';
import type { Self } from './self.ts';

/** Certificates that end sooner are told of. */
const soonMs = 30 * 86_400_000;
const mostSlow = 10;
const mostOwing = 50;
/** For gaps: a node that is away has its dial first. */
const askMs = 5000;

export interface ReportingParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
  readonly members: AskMembers;
  readonly clock: Clock;
  readonly isDraining: () => boolean;
  readonly standing: (() => Pick<NodeStatus, 'refused'>) | undefined;
  /** When the certificate with these bytes ends, ms. @throws BrokerError for one that can't be read */
  readonly certificateEnd: (leaf: Uint8Array) => number;
}

/** This node about itself. */
export async function nodeReport(parts: ReportingParts, sinceMs: number): Promise<NodeReport> {
  const { store, self, mesh, clock, isDraining, standing } = parts;
  const peers: Partial<Record<PeerState, number>> = {};
  for (const { state } of mesh().peers()) peers[state] = (peers[state] ?? 0) + 1;
  const away = store.read.members().filter(({ nodeId }) => nodeId !== self.nodeId && mesh().link(nodeId) === undefined).map(({ nodeId }) => nodeId);
  const [{ paces, ...troubles }, flights, owing] = await Promise.all([store.inspect.troubles({ sinceMs, nowMs: clock.now() }), store.inspect.countFlights(), store.inspect.owedTo(away)]);
  return {
    ...{ nodeId: self.nodeId, name: self.name(), owner: self.owner(), version: self.version, epoch: self.epoch, draining: isDraining(), flights, peers },
    ...troubles,
    slow: slowAgents(paces).slice(0, mostSlow),
    owing: owing.slice(0, mostOwing),
    ...standing?.(),
  };
}

export async function meshReport(parts: ReportingParts, sinceMs: number): Promise<MeshReport> {
  const { self, mesh, members, clock } = parts;
  const told: NodeReport[] = [];
  const failed: { readonly nodeId: NodeId; readonly error: BrokerError }[] = [];
  const [own] = await Promise.all([
    nodeReport(parts, sinceMs),
    members.each(
      members.others().map((each) => each.nodeId),
      async (nodeId) => {
        const { report } = await members.ask(nodeId, { type: 'report', sinceMs }, askMs);
        // Who it is, is what its link proves.
        told.push({ ...report, nodeId });
        return false;
      },
      (nodeId, error) => failed.push({ nodeId, error }),
    ),
  ]);
  const gaps = failed.map(({ nodeId, error }): ReportGap => ({ nodeId, nodeName: parts.nodes.nameOf(nodeId), why: error.message, ...members.absence(nodeId) }));
  const meshName = self.mesh()?.name;
  return {
    ...{ atMs: clock.now(), sinceMs, nodeId: self.nodeId, peers: mesh().peers() },
    ...(meshName === undefined ? {} : { meshName }),
    nodes: [own, ...told.toSorted(byName)],
    gaps: gaps.toSorted((a, b) => (a.nodeName < b.nodeName ? -1 : 1)),
    certificates: certificates(parts),
    names: namesOf(parts),
  };
}

/** Of this node and all members, also of those that have left. */
export function namesOf({ store, self }: Pick<ReportingParts, 'store' | 'self'>): Names {
  const others = store.read.members().filter((each) => each.nodeId !== self.nodeId);
  return [{ nodeId: self.nodeId, name: self.name() }, ...others.map(({ nodeId, name }) => ({ nodeId, name }))];
}

function certificates({ store, clock, certificateEnd }: ReportingParts): MeshReport['certificates'] {
  const soon = clock.now() + soonMs;
  return store.read
    .members()
    .filter(belongs)
    .map(({ nodeId, name, chain }) => ({ nodeId, nodeName: name, endsAtMs: certificateEnd(chain.leaf) }))
    .filter(({ endsAtMs }) => endsAtMs < soon)
    .toSorted((a, b) => a.endsAtMs - b.endsAtMs);
}

function byName(a: NodeReport, b: NodeReport): number {
  return a.name < b.name ? -1 : 1;
}
