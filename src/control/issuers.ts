/** Who lets others in, and the recovery file, for local clients. */
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import type { RootView } from '../domain/trust.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import type { MeshRoot } from '../gen/beckon/v1/membership.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { actOf } from './act.ts';

export function issuerHandlers(api: Pick<BrokerApi, 'as' | 'authority'>, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'addIssuer' | 'removeIssuer' | 'listRoots' | 'renewRoot' | 'retireRoot' | 'exportRecovery' | 'importRecovery'> {
  return {
    addIssuer: unary(edge, async (caller, { node }) => api.as(actOf(caller)).addIssuer(node)),
    removeIssuer: unary(edge, async (caller, input) => {
      const { renewedByOthers, ...rest } = await api.as(actOf(caller)).authority.removeIssuer(input);
      return { ...rest, renewedByOthers: [...renewedByOthers] };
    }),
    listRoots: unary(edge, async () => ({ roots: (await api.authority.roots()).map(encodeRoot) })),
    renewRoot: unary(edge, async (caller) => {
      const { root, signedBy } = await api.as(actOf(caller)).authority.renewRoot();
      return { root: encodeRoot(root), signedBy };
    }),
    retireRoot: unary(edge, async (caller, input) => {
      const { kept, retired, lost } = await api.as(actOf(caller)).authority.retireRoot(input);
      return { kept, retired: [...retired], lost: [...lost] };
    }),
    exportRecovery: unary(edge, async (caller, input) => api.as(actOf(caller)).exportRecovery(input)),
    importRecovery: unary(edge, async (caller, input) => api.as(actOf(caller)).importRecovery(input)),
  };
}

function encodeRoot({ signedBy = '', isKeyHere, ...rest }: RootView): MeshRoot {
  return { ...rest, signedBy, keyHere: isKeyHere };
}
