/** Who lets others in, and the recovery file, for local clients. */
import type { LocalCaller } from '../broker/api.ts';
import type { IssuerApi } from '../broker/issuer-api.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';

export function issuerHandlers(api: IssuerApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'addIssuer' | 'exportRecovery' | 'importRecovery'> {
  return {
    addIssuer: unary(edge, async (_caller, { node }) => api.addIssuer(node)),
    exportRecovery: unary(edge, async (_caller, input) => api.exportRecovery(input)),
    importRecovery: unary(edge, async (_caller, input) => api.importRecovery(input)),
  };
}
