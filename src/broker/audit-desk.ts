/** The audit, as this node's own clients ask for it. */
import type { Act, Audit, AuditFinding, AuditRow } from '../domain/audit.ts';
import { invalid } from '../domain/errors.ts';
import type { Page, PageRequest } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { AuditApi } from './audit-api.ts';
import { checkAudit, noteOf } from './audit-check.ts';
import type { KnownEnd } from './audit-check.ts';

export interface AuditDeskParts {
  readonly store: Store;
  readonly audit: Audit;
  readonly knownEnd: () => KnownEnd | undefined;
}

export class AuditDesk implements Omit<AuditApi, 'as'> {
  readonly #parts: AuditDeskParts;

  constructor(parts: AuditDeskParts) {
    this.#parts = parts;
  }

  async listAudit({ sinceMs }: { readonly sinceMs?: number }, { limit, after }: PageRequest): Promise<Page<AuditRow>> {
    const before = after === undefined ? {} : { before: numberOf(after) };
    const { rows, next } = await this.#parts.store.inspect.auditRows({ ...(sinceMs === undefined ? {} : { sinceMs }), ...before }, limit);
    return { items: rows, ...(next === undefined ? {} : { next: cursorOf(next) }) };
  }

  checkAudit({ whole }: { readonly whole: boolean }): Promise<AuditFinding> {
    const { store: { read, inspect }, knownEnd: known } = this.#parts;
    return checkAudit({ read, inspect, known }, whole);
  }

  async noteAudit(act: Act): Promise<readonly string[]> {
    const { flaws } = await this.checkAudit({ whole: true });
    for (const flaw of flaws) await this.#parts.audit.record({ kind: 'audit.noted', about: noteOf(flaw), ...act });
    return flaws.map(({ why }) => why);
  }
}

/** Opaque to callers, checked when it comes back. */
function cursorOf(number: number): string {
  return Buffer.from(`audit:${number}`).toString('base64url');
}

/** @throws BrokerError `invalid` */
function numberOf(cursor: string): number {
  const [, digits = ''] = /^audit:([1-9]\d{0,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  const number = Number(digits);
  if (digits === '' || cursorOf(number) !== cursor) throw invalid('that cursor is none of this list', 'give the "next" of the page before, as it is');
  return number;
}
