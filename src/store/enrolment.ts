/** Entering by the word of the tailnet: rules, those who wait, and the issuers that this node made. */
import type { AdmitKind, AdmitRule, Applicant } from '../domain/admit-rule.ts';
import { BrokerError } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { NodeId } from '../domain/ids.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';
import { optional } from './flight-row.ts';
import type { Input } from './protocol.ts';
import { Refusal } from './refusal.ts';

/** Strangers decide how many ask. */
const mostApplicants = 200;
const applicantMs = 7 * 24 * 60 * 60 * 1000;
const mostRules = 1000;

interface RuleRow {
  readonly kind: AdmitKind;
  readonly value: string;
}

interface ApplicantRow {
  readonly node_id: NodeId;
  readonly name: string;
  readonly address: string;
  readonly login: string | null;
  readonly tags: string;
  readonly why: string;
  readonly since_ms: number;
}

export class EnrolmentTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #facts: FactTable;
  readonly #audit: AuditTable;
  readonly #countRules;
  readonly #insertRule;
  readonly #saveApplicant;
  readonly #dropApplicant;
  readonly #dropOld;
  readonly #dropBeyond;
  readonly #saveIssuer;

  constructor(db: Connection, { nodes, facts, audit }: { readonly nodes: GrowingNodeNumbers; readonly facts: FactTable; readonly audit: AuditTable }) {
    this.#audit = audit;
    this.#nodes = nodes;
    this.#facts = facts;
    this.#countRules = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM admit_rules');
    this.#insertRule = db.prepare<[AdmitKind, string, number]>('INSERT INTO admit_rules (kind, value, since_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    this.#saveApplicant = db.prepare(`
      INSERT INTO applicants (node_id, name, address, login, tags, why, since_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node_id) DO UPDATE SET name = excluded.name, address = excluded.address, login = excluded.login, tags = excluded.tags,
        why = excluded.why, last_ms = excluded.last_ms`);
    this.#dropApplicant = db.prepare<[NodeId]>('DELETE FROM applicants WHERE node_id = ?');
    this.#dropOld = db.prepare<[number]>('DELETE FROM applicants WHERE last_ms < ?');
    this.#dropBeyond = db.prepare<[number]>('DELETE FROM applicants WHERE node_id IN (SELECT node_id FROM applicants ORDER BY last_ms DESC LIMIT -1 OFFSET ?)');
    this.#saveIssuer = db.prepare(`
      INSERT INTO issuers (node, certificate, since_ms) VALUES (?, ?, ?)
      ON CONFLICT (node) DO UPDATE SET certificate = excluded.certificate`);
  }

  addAdmitRules({ stamp, act, rules }: Input<'addAdmitRules'>): AdmitRule[] | Refusal {
    if ((this.#countRules.get()?.count ?? 0) + rules.length > mostRules) return new Refusal(new BrokerError('overload', `a mesh has at most ${mostRules} rules of admission`));
    const added = rules.filter(({ kind, value }) => this.#insertRule.run(kind, value, stamp.atMs).changes > 0);
    for (const { kind, value } of added) {
      this.#facts.append(stamp, 'admission.ruled', { detail: { kind, value } });
      this.#audit.append(stamp, { kind: 'admission.ruled', about: { rule: kind, value } }, act);
    }
    return added;
  }

  recordApplicant({ stamp, applicant }: { stamp: Stamp; applicant: Omit<Applicant, 'sinceMs'> }): void {
    const { nodeId, name, address, login, tags, why } = applicant;
    this.#saveApplicant.run(nodeId, name, address, login ?? null, JSON.stringify(tags), why, stamp.atMs, stamp.atMs);
    this.#dropOld.run(stamp.atMs - applicantMs);
    this.#dropBeyond.run(mostApplicants);
  }

  /** It waits no longer; `issuerDer` when it may let others in from now on. */
  entered({ stamp, act, member: { nodeId, name }, issuerDer }: Input<'admitMember'>): void {
    this.#dropApplicant.run(nodeId);
    if (issuerDer !== undefined) this.addIssuer({ stamp, act, nodeId, certificate: issuerDer }, name);
  }

  addIssuer({ stamp, act, nodeId, certificate }: Input<'addIssuer'>, name?: string): void {
    const node = this.#nodes.of(nodeId);
    this.#saveIssuer.run(node, certificate, stamp.atMs);
    this.#facts.append(stamp, 'issuer.added', { peer: node });
    this.#audit.append(stamp, { kind: 'issuer.added', about: { nodeId, ...(name === undefined ? {} : { name }) } }, act);
  }
}

export function enrolmentReads(db: Connection, nodes: NodeNumbers) {
  const rules = db.prepare<[], RuleRow>('SELECT kind, value FROM admit_rules ORDER BY kind, value');
  const applicants = db.prepare<[], ApplicantRow>('SELECT * FROM applicants ORDER BY since_ms, rowid');
  const issuers = db.prepare<[], { node: number }>('SELECT node FROM issuers ORDER BY since_ms');
  return {
    admitRules: (): AdmitRule[] => rules.all().map(({ kind, value }) => ({ kind, value })),
    applicants: (): Applicant[] =>
      applicants.all().map((row) => ({
        nodeId: row.node_id,
        name: row.name,
        address: row.address,
        ...optional('login', row.login),
        tags: JSON.parse(row.tags) as string[],
        why: row.why,
        sinceMs: row.since_ms,
      })),
    issuers: (): NodeId[] => issuers.all().map(({ node }) => nodes.idOf(node)),
  };
}
