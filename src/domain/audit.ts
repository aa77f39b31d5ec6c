/**
 * The audit: who was let in, put out, trusted, denied, and by whom. Unlike facts, which traces are made of and which a flight
 * takes with it when it is pruned, its rows stay for ever, say who did it and from where, and stand in one chain.
 */
import type { Stamp } from './event.ts';
import type { FlightId, NodeId } from './ids.ts';

/** Whose act it was, as far as it is proven; what is only claimed says so. */
export type Who =
  /** This node by itself. */
  | { readonly is: 'node' }
  /** Of this machine: `uid:501`. */
  | { readonly is: 'user'; readonly id: string }
  /** A process of a flight, by its token. */
  | { readonly is: 'flight'; readonly flightId: FlightId; readonly agent: string }
  /** Another node, by its certificate; `user`: who did it there, as that node says. */
  | { readonly is: 'member'; readonly nodeId: NodeId; readonly name: string; readonly owner: string; readonly user?: string }
  /** No member: it proved that it holds the key of that id, or the tailnet says whose machine it is. The name is what it wants to be called. */
  | { readonly is: 'applicant'; readonly nodeId?: NodeId; readonly name?: string; readonly login?: string }
  /** Nothing is proven. */
  | { readonly is: 'stranger' }
  /** More than could be told apart: what they were refused is counted together. */
  | { readonly is: 'several' };

/** Which way it came; addresses are host:port. */
export type Whence =
  | { readonly via: 'inside' }
  /** With the command that started the node. */
  | { readonly via: 'start' }
  | { readonly via: 'socket' }
  | { readonly via: 'session'; readonly address?: string }
  | { readonly via: 'entrance'; readonly address: string }
  | { readonly via: 'network'; readonly address: string };

export interface Act {
  readonly who: Who;
  readonly from: Whence;
}

export const ownAct: Act = { who: { is: 'node' }, from: { via: 'inside' } };

/**
 * Every kind of row, and what it may say besides who, whence and when: closed, since what stands in the audit stays. Names,
 * addresses, ids, numbers and words of Beckon's own; never a task, an output, what an agent asked, a token or a key.
 */
export const auditKinds = {
  'mesh.created': ['mesh', 'meshId', 'owner'],
  'mesh.joined': ['mesh', 'meshId', 'owner'],
  'mesh.left': ['mesh', 'meshId'],
  'node.renamed': ['name'],
  /** It has a key of its own now; `was`: its id before. */
  'node.rekeyed': ['was'],
  /** Its own certificate. */
  'node.renewed': ['until'],
  'invite.made': ['invite', 'owner', 'until'],
  'invite.used': ['invite', 'nodeId', 'name', 'owner'],
  'member.admitted': ['nodeId', 'name', 'owner', 'why'],
  'member.renamed': ['nodeId', 'name'],
  'member.renewed': ['nodeId', 'name', 'until'],
  'member.left': ['nodeId', 'name'],
  'member.removed': ['nodeId', 'name', 'by'],
  'admission.ruled': ['rule', 'value'],
  'issuer.added': ['nodeId', 'name'],
  'issuer.removed': ['nodeId', 'name', 'by'],
  /** Another root of the same mesh; fingerprints. */
  'root.changed': ['root', 'was'],
  'recovery.exported': ['moved'],
  'recovery.imported': ['mesh', 'meshId'],
  'agent.added': ['agent', 'harness', 'permissions', 'visibility'],
  'agent.removed': ['agent', 'why'],
  'agent.shared': ['agent', 'with'],
  'agent.unshared': ['agent', 'with'],
  'project.approved': ['root', 'name', 'harness', 'permissions'],
  'project.forgotten': ['root', 'why'],
  /** What a person said to a request of an agent: at the node where it was said, whether or not that has a part in the flight, and at the owner. One that nobody answered is nobody's act. */
  'request.approved': ['flight', 'agent', 'request'],
  'request.denied': ['flight', 'agent', 'request'],
  'request.answered': ['flight', 'agent', 'request'],
  'policy.changed': ['file', 'hash', 'was', 'rules'],
  /** A file that is not understood: what counted before goes on counting. */
  'policy.refused': ['file', 'why'],
  /** The store was put back to an older state: what had been recorded since is not here. */
  'store.put_back': ['evidence', 'rows', 'had'],
  /** The node found its audit other than it had left it. */
  'audit.broken': ['why'],
  /** A person has seen the flaw in that row: it stays, and is complained of no longer. */
  'audit.noted': ['row', 'hash', 'why'],
  // What was refused. Strangers and members may repeat these at will: they are counted together, see `Audit.refused`.
  'policy.denied': ['verb', 'agent', 'rule'],
  'invite.refused': ['nodeId', 'name', 'why'],
  'enrolment.refused': ['what', 'why'],
  'renewal.refused': ['nodeId', 'name', 'why'],
  'session.refused': ['nodeId', 'name', 'why'],
  /** A record, removal or departure that its signer could not have made. */
  'record.refused': ['what', 'why'],
  /** A process of a flight wanted what its token does not open. */
  'flight.refused': ['call', 'agent'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** What a person said to a request, by the kind of the reply. */
export const requestKinds = { approved: 'request.approved', denied: 'request.denied', text: 'request.answered' } as const;

export type AuditKind = keyof typeof auditKinds;
export const auditKindNames = Object.keys(auditKinds) as readonly AuditKind[];

export type RefusalKind = 'policy.denied' | 'invite.refused' | 'enrolment.refused' | 'renewal.refused' | 'session.refused' | 'record.refused' | 'flight.refused';

type About<Kind extends AuditKind> = { readonly [Field in (typeof auditKinds)[Kind][number]]?: string };

/** What happened. Each text has at most `longestField` characters: more is cut. */
export type AuditWhat = { readonly [Kind in AuditKind]: { readonly kind: Kind; readonly about: About<Kind> } }[AuditKind];
export type AuditRefusal = Extract<AuditWhat, { readonly kind: RefusalKind }>;

export type AuditEntry = AuditWhat & Partial<Act> & {
  /** How many of these it stands for, left out for one; they came between the row before of the same and its own time. */
  readonly times?: number;
};

/** As it is read. A kind that a newer version wrote is kept as it is. */
export interface AuditRow {
  /** From 1, without gaps. */
  readonly number: number;
  readonly atMs: number;
  readonly kind: AuditKind;
  readonly who: Who;
  readonly from: Whence;
  readonly about: Readonly<Record<string, string>>;
  readonly times: number;
  /** Lower-case hex. */
  readonly hash: string;
}

/** What parts of the node record that is no write of its own. An act that is one carries its `act` with it: then the row is in the same commit. */
export interface Audit {
  /** Durable when it resolves. @throws as every write of the store */
  record(entry: AuditEntry): Promise<void>;
  /** Never waits, never throws: however many come, they make few rows. */
  refused(refusal: AuditRefusal, act: Act): void;
}

/** How far the chain has come. */
export interface AuditHead {
  /** 0: nothing is recorded yet. */
  readonly number: number;
  readonly hash: string;
}

export interface AuditWrites {
  /** Acts that change nothing else in the store. */
  audit(input: { stamp: Stamp; entries: readonly AuditEntry[] }): Promise<void>;
}

export interface AuditPage {
  /** Newest first. */
  readonly rows: readonly AuditRow[];
  /** `before` of the page that follows. */
  readonly next?: number;
}

export interface AuditCheckRange {
  /** That row is as it should be; left out: from the beginning. */
  readonly after?: AuditHead;
  /** Rows looked at in one go. */
  readonly most: number;
}

export interface AuditFlaw {
  readonly row: number;
  /** Made of what is found there, or, where rows are missing, behind these: what is altered once more is another flaw. Empty where nothing is. */
  readonly hash: string;
  readonly why: string;
}

export interface AuditStretch {
  /** Where the next stretch goes on. */
  readonly last: AuditHead;
  readonly more: boolean;
  readonly flaws: readonly AuditFlaw[];
}

export interface AuditReads {
  auditHead(): AuditHead;
  /** Undefined: there is no such row. */
  auditHashAt(number: number): string | undefined;
}

export interface AuditInspection {
  /** Of the time `sinceMs` and later. */
  auditRows(range: { readonly sinceMs?: number; readonly before?: number }, limit: number): Promise<AuditPage>;
  /** Whether each row follows from the one before it, a stretch at a time. */
  checkAudit(range: AuditCheckRange): Promise<AuditStretch>;
  /** Of the kinds that speak of the audit itself, the newest, in their order; what vouches for something only where the node wrote it. Bounded: 1000. */
  auditNotes(): Promise<readonly AuditRow[]>;
}

export const longestField = 256;

const noted: ReadonlySet<AuditKind> = new Set<AuditKind>(['audit.broken', 'audit.noted', 'store.put_back']);

/** Kinds that speak of the audit itself. */
export function isOfAudit(kind: AuditKind): boolean {
  return noted.has(kind);
}

export function auditFieldsOf(kind: AuditKind): readonly string[] {
  return auditKinds[kind];
}

/** What a look at the chain has found. */
export interface AuditFinding {
  readonly rows: number;
  /** The first row that was looked at; 0 where there is none. */
  readonly from: number;
  /** In their order, a sentence each, the first of them where it begins to be wrong. */
  readonly flaws: readonly AuditFlaw[];
  /** Those that a person has seen. */
  readonly noted: readonly AuditFlaw[];
  /** When the store was put back to an older state. */
  readonly putBackMs: readonly number[];
}
