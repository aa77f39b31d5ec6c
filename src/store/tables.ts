/** All that the writer's one connection writes to. */
import type { NodeId } from '../domain/ids.ts';
import { AgentSessionTable } from './agent-sessions.ts';
import { AgentShareTable } from './agent-shares.ts';
import { AgentTable } from './agents.ts';
import type { Arrivals } from './arrivals.ts';
import { AuditTable } from './audit.ts';
import { GrowingNodeNumbers, StateTally } from './caches.ts';
import type { Connection } from './connection.ts';
import { DeliveryTable } from './deliveries.ts';
import { EnrolmentTable } from './enrolment.ts';
import { FactTable } from './events.ts';
import { FlightEventTable } from './flight-events.ts';
import { FlightProcessTable } from './flight-processes.ts';
import { FlightTable } from './flights.ts';
import { HeldCounts } from './held-counts.ts';
import { IdempotencyTable } from './idempotency.ts';
import { InvocationTable } from './invocations.ts';
import { NodeTable } from './nodes.ts';
import { QueueCounts } from './queue-counts.ts';
import { ProjectTable } from './projects.ts';
import { RegistrationTable } from './registrations.ts';
import { RevocationTable } from './revocations.ts';
import { StoredBytes } from './stored-bytes.ts';
import { ReplyTable } from './replies.ts';
import { TombstoneTable } from './tombstones.ts';
import { TrustTable } from './trust.ts';
import { WorktreeTable } from './worktrees.ts';

export interface Tables {
  readonly nodes: GrowingNodeNumbers;
  /** The number of this node. */
  readonly self: number;
  readonly queues: QueueCounts;
  readonly held: HeldCounts;
  readonly tally: StateTally;
  readonly stored: StoredBytes;
  /** Undefined: nobody counts them. */
  readonly arrivals: Arrivals | undefined;
  readonly facts: FactTable;
  readonly audit: AuditTable;
  readonly boots: NodeTable;
  readonly invocations: InvocationTable;
  readonly idempotency: IdempotencyTable;
  readonly flights: FlightTable;
  readonly flightEvents: FlightEventTable;
  readonly flightProcesses: FlightProcessTable;
  readonly deliveries: DeliveryTable;
  readonly tombstones: TombstoneTable;
  readonly replies: ReplyTable;
  readonly agents: AgentTable;
  readonly projects: ProjectTable;
  readonly shares: AgentShareTable;
  readonly sessions: AgentSessionTable;
  readonly registrations: RegistrationTable;
  readonly trust: TrustTable;
  readonly revocations: RevocationTable;
  readonly worktrees: WorktreeTable;
  readonly enrolment: EnrolmentTable;
}

/** @param auditKey what the chain of the audit is keyed with */
export function openTables(db: Connection, nodeId: NodeId, arrivals?: Arrivals, auditKey: Uint8Array = new Uint8Array()): Tables {
  const nodes = new GrowingNodeNumbers(db);
  const self = nodes.of(nodeId);
  const queues = new QueueCounts(db);
  const tally = new StateTally(db);
  const stored = new StoredBytes(db);
  const facts = new FactTable(db, self);
  const audit = new AuditTable(db, { nodeId, key: auditKey });
  const revocations = new RevocationTable(db, { nodes, self, facts, audit });
  const agents = new AgentTable(db, { nodes, facts, queues });
  return {
    nodes,
    self,
    queues,
    held: new HeldCounts(db),
    tally,
    stored,
    arrivals,
    facts,
    audit,
    boots: new NodeTable(db, nodes, facts),
    invocations: new InvocationTable(db, stored),
    idempotency: new IdempotencyTable(db),
    flights: new FlightTable(db, queues, tally, arrivals),
    flightEvents: new FlightEventTable(db, stored),
    flightProcesses: new FlightProcessTable(db),
    deliveries: new DeliveryTable(db, arrivals),
    tombstones: new TombstoneTable(db),
    replies: new ReplyTable(db),
    agents,
    projects: new ProjectTable(db, { facts, agents, audit }),
    shares: new AgentShareTable(db, facts, audit),
    sessions: new AgentSessionTable(db),
    registrations: new RegistrationTable(db, nodes),
    trust: new TrustTable(db, { nodes, facts, revocations, audit }),
    revocations,
    worktrees: new WorktreeTable(db, facts),
    enrolment: new EnrolmentTable(db, { nodes, facts, audit }),
  };
}
