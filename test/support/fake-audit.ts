/** The part of a fake broker that the audit is read from, and in whose name it is called. */
import type { BrokerApi } from '../../src/broker/api.ts';
import type { Act, AuditFinding, AuditRow } from '../../src/domain/audit.ts';
import { FakeNetwork } from './fake-network.ts';

export abstract class FakeAudit extends FakeNetwork {
  /** Of each call that the audit is told of, in order. */
  readonly acts: Act[] = [];
  readonly auditRows: AuditRow[] = [];
  readonly auditAsked: unknown[] = [];
  auditNext: string | undefined;
  auditFinding: AuditFinding = { rows: 0, from: 0, flaws: [], noted: [], putBackMs: [] };
  /** What a check waits for. */
  auditChecked: Promise<void> = Promise.resolve();

  as(act: Act): ReturnType<BrokerApi['as']> {
    this.acts.push(act);
    return this as unknown as BrokerApi;
  }

  listAudit(...asked: Parameters<BrokerApi['listAudit']>): ReturnType<BrokerApi['listAudit']> {
    this.auditAsked.push(asked);
    return Promise.resolve({ items: this.auditRows, ...(this.auditNext === undefined ? {} : { next: this.auditNext }) });
  }

  checkAudit(asked: { readonly whole: boolean }): ReturnType<BrokerApi['checkAudit']> {
    this.auditAsked.push(asked);
    return this.auditChecked.then(() => this.auditFinding);
  }

  noteAudit(act: Act): ReturnType<BrokerApi['noteAudit']> {
    this.acts.push(act);
    return Promise.resolve(this.auditFinding.flaws.map(({ why }) => why));
  }
}
