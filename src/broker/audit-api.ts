/** The audit of this node, as its own clients read it. No other node can, and no process of a flight. */
import type { Act, AuditFinding, AuditRow } from '../domain/audit.ts';
import type { Page, PageRequest } from '../domain/records.ts';
import type { Acts } from './acting.ts';

export interface AuditApi {
  /** The same node, its use cases in the name of who calls: that name is what the audit has of them. */
  as(act: Act): Acts;
  /** Newest first. @throws `invalid` for a cursor that is none of this list */
  listAudit(filter: { readonly sinceMs?: number }, page: PageRequest): Promise<Page<AuditRow>>;
  /** All of it, from its first row, or as much as `doctor` looks at. */
  checkAudit(input: { readonly whole: boolean }): Promise<AuditFinding>;
  /** What is wrong with it has been seen by that person: it stays recorded, and is not complained of again. Returns the flaws. */
  noteAudit(act: Act): Promise<readonly string[]>;
}
