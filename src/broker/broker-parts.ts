/** What a node's core is given from outside. */
import type { Audit } from '../domain/audit.ts';
import type { Check } from '../domain/checks.ts';
import type { FlightTokens } from '../domain/flight-token.ts';
import type { Gossip } from '../domain/gossip-port.ts';
import type { Harness, Orphans } from '../domain/harness-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { Notifier } from '../domain/notification.ts';
import type { CallerStandings, PolicyFile } from '../domain/policy-port.ts';
import type { Clock, Digest, Log, ProjectProbe, Random, RecordSeal, UlidSource } from '../domain/ports.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { CertificateChain, IssuerProof, PeerIdentity } from '../domain/trust.ts';
import type { Wishes } from '../domain/wishes.ts';
import type { Checkouts, Worktrees } from '../domain/worktree-port.ts';
import type { ActingParts } from './acting.ts';
import type { KnownEnd } from './audit-check.ts';
import type { NodeStatus } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import type { FlightTraces } from './flight-traces.ts';
import type { Chore } from './housekeeping.ts';
import type { BrokerMeasures } from './measures.ts';
import type { MembershipPorts } from './membership.ts';
import type { ProjectsParts } from './projects.ts';
import type { RegistryParts } from './registry.ts';
import type { Retention } from './pruning.ts';
import type { Self } from './self.ts';

/** Making, entering and opening the mesh: keys, certificates and the network port are outside the core. */
export type MeshUseCases = ActingParts['mesh'];

export interface BrokerParts extends MembershipPorts {
  readonly self: Self;
  readonly store: Store;
  readonly mesh: () => Mesh;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly orphans: Orphans;
  readonly worktrees: Worktrees;
  readonly checkouts: Checkouts;
  readonly flightTokens: FlightTokens;
  /** Where this node has its state. */
  readonly home: string;
  readonly seal: RecordSeal;
  readonly probe: ProjectProbe;
  readonly projects: Pick<ProjectsParts, 'ports' | 'config' | 'onConfigChanged'>;
  readonly chronicler: Chronicler;
  readonly audit: Audit;
  /** How far the audit has come, as it is written down apart from the store. */
  readonly knownEnd?: () => KnownEnd | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly ulids: UlidSource;
  readonly digest: Digest;
  readonly traces: FlightTraces;
  readonly log: Log;
  readonly meshUseCases: MeshUseCases;
  readonly recovery: ActingParts['recovery'];
  readonly authority: ActingParts['authority'];
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly counts: RegistryParts['counts'];
  /** When the certificate with these bytes ends, ms, whoever signed it. @throws BrokerError `invalid` for one that can't be read */
  readonly certificateEnd: (leaf: Uint8Array) => number;
  readonly ownAddresses: () => readonly string[];
  /** Undefined: this node gossips with nobody. */
  readonly gossip?: () => Gossip;
  /** Where it listens for gossip, host:port. */
  readonly gossipAddresses?: () => readonly string[];
  readonly onMembers: (members: readonly Member[]) => void;
  /** Login name of this machine's user in its tailnet; undefined when it is tagged, or in none. */
  readonly tailnetUser: () => string | undefined;
  /** What proves this node to be an issuer; undefined when it is none. */
  readonly issuerProof: () => IssuerProof | undefined;
  readonly isIssuer: (nodeId: NodeId, proof: IssuerProof) => boolean;
  readonly pid: number;
  /** For `doctor`: the network port, certificates, the tailnet. */
  readonly checks?: () => Promise<readonly Check[]>;
  /** Whether other nodes take this one for a copy of another machine. */
  readonly standing?: () => Pick<NodeStatus, 'refused'>;
  /** What else is looked at now and then. */
  readonly chores?: readonly Chore[];
  /** Rules of this node's file; none when left out. */
  readonly policyFile?: PolicyFile;
  /** What the tailnet says of callers; nothing when left out. */
  readonly standings?: CallerStandings | undefined;
  readonly notifier: Notifier;
  readonly wishes?: Wishes;
  /** Where it counts; undefined: nowhere. */
  readonly measures?: BrokerMeasures;
  /** How long what is over is kept. */
  readonly retention?: Retention;
  /** Asked for by a client; the node stops itself afterwards. */
  readonly onShutdown: (force: boolean) => void;
}
