/** The audit, as the node tells it. What a newer node calls otherwise stays as it says. */
import type { AuditFinding, AuditRow, Whence, Who } from '../domain/audit.ts';
import type * as wire from '../gen/beckon/v1/audit.ts';

export function decodeAuditRow({ number, atMs, kind, who, via, address, about, times, hash }: wire.AuditRow): AuditRow {
  const known = Object.fromEntries(Object.entries(who ?? { is: '' }).filter(([name, value]) => name === 'is' || value !== ''));
  return {
    ...{ number, atMs, about, times, hash },
    kind: kind as AuditRow['kind'],
    who: known as unknown as Who,
    from: { via, ...(address === '' ? {} : { address }) } as Whence,
  };
}

export function decodeFinding({ rows, from, flaws, noted, putBackMs }: wire.CheckAuditResponse): AuditFinding {
  return { rows, from, flaws, noted, putBackMs };
}
