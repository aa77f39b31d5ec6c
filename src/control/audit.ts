/** The audit, for local clients. */
import type { LocalCaller } from '../broker/api.ts';
import type { AuditApi } from '../broker/audit-api.ts';
import type { AuditRow } from '../domain/audit.ts';
import type * as wire from '../gen/beckon/v1/audit.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import { optionalWhole, present } from '../rpc/fields.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { actOf } from './act.ts';
import { decodePage } from './requests.ts';

export function auditHandlers(api: AuditApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'listAudit' | 'checkAudit' | 'noteAudit'> {
  return {
    listAudit: unary(edge, async (_caller, request) => {
      const { items, next = '' } = await api.listAudit(present({ sinceMs: optionalWhole(request.sinceMs, 'since_ms') }), decodePage(request));
      return { rows: items.map(encodeRow), next };
    }),
    checkAudit: unary(edge, async (_caller, { whole }) => {
      const { flaws, noted, putBackMs, ...rest } = await api.checkAudit({ whole });
      return { ...rest, flaws: flaws.map((each) => ({ ...each })), noted: noted.map((each) => ({ ...each })), putBackMs: [...putBackMs] };
    }),
    noteAudit: unary(edge, async (caller) => ({ flaws: [...(await api.noteAudit(actOf(caller)))] })),
  };
}

const nobody: wire.AuditWho = { is: '', id: '', nodeId: '', name: '', owner: '', user: '', flightId: '', agent: '', login: '' };

function encodeRow({ number, atMs, kind, who, from, about, times, hash }: AuditRow): wire.AuditRow {
  const address = 'address' in from ? (from.address ?? '') : '';
  return { number, atMs, kind, who: { ...nobody, ...who }, via: from.via, address, about: { ...about }, times, hash };
}
