/** Who lets others in, and the recovery file, for local clients. */
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { actOf } from './act.ts';

export function issuerHandlers(api: Pick<BrokerApi, 'as'>, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'addIssuer' | 'exportRecovery' | 'importRecovery'> {
  return {
    addIssuer: unary(edge, async (caller, { node }) => api.as(actOf(caller)).addIssuer(node)),
    exportRecovery: unary(edge, async (caller, input) => api.as(actOf(caller)).exportRecovery(input)),
    importRecovery: unary(edge, async (caller, input) => api.as(actOf(caller)).importRecovery(input)),
  };
}
