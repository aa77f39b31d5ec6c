/** Who lets others in, and the recovery file, for local clients. */
import type { LocalCaller } from '../broker/api.ts';
import type { IssuerApi } from '../broker/issuer-api.ts';
import type { RootView } from '../domain/trust.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import type { MeshRoot } from '../gen/beckon/v1/membership.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';

export function issuerHandlers(api: IssuerApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'addIssuer' | 'removeIssuer' | 'listRoots' | 'renewRoot' | 'retireRoot' | 'exportRecovery' | 'importRecovery'> {
  return {
    addIssuer: unary(edge, async (_caller, { node }) => api.addIssuer(node)),
    removeIssuer: unary(edge, async (_caller, input) => {
      const { renewedByOthers, ...rest } = await api.authority.removeIssuer(input);
      return { ...rest, renewedByOthers: [...renewedByOthers] };
    }),
    listRoots: unary(edge, async () => ({ roots: (await api.authority.roots()).map(encodeRoot) })),
    renewRoot: unary(edge, async () => {
      const { root, signedBy } = await api.authority.renewRoot();
      return { root: encodeRoot(root), signedBy };
    }),
    retireRoot: unary(edge, async (_caller, input) => {
      const { kept, retired, lost } = await api.authority.retireRoot(input);
      return { kept, retired: [...retired], lost: [...lost] };
    }),
    exportRecovery: unary(edge, async (_caller, input) => api.exportRecovery(input)),
    importRecovery: unary(edge, async (_caller, input) => api.importRecovery(input)),
  };
}

function encodeRoot({ signedBy = '', isKeyHere, ...rest }: RootView): MeshRoot {
  return { ...rest, signedBy, keyHere: isKeyHere };
}
