/** Who lets others in, as a node answers it. */
import type { AddedIssuer, AuthorityApi, ImportedRecovery } from '../broker/issuer-api.ts';
import { BrokerError } from '../domain/errors.ts';
import type { UnaryCall } from '../rpc/call.ts';
import { asMeshId, asNodeId } from '../domain/ids.ts';
import type { RootView } from '../domain/trust.ts';
import { ControlServiceService as calls } from '../gen/beckon/v1/control.ts';
import type { AddIssuerResponse, ImportRecoveryResponse, MeshRoot } from '../gen/beckon/v1/membership.ts';

export function decodeAddedIssuer({ nodeId, ...rest }: AddIssuerResponse): AddedIssuer {
  return { nodeId: asNodeId(nodeId), ...rest };
}

export function decodeImportedRecovery({ meshId, ...rest }: ImportRecoveryResponse): ImportedRecovery {
  return { meshId: asMeshId(meshId), ...rest };
}

const states: readonly RootView['state'][] = ['in_use', 'accepted', 'retired'];

/** @throws BrokerError `incompatible` for what only a newer node says */
function decodeRoot(root: MeshRoot | undefined): RootView {
  const state = states.find((each) => each === root?.state);
  if (root === undefined || state === undefined) throw new BrokerError('incompatible', 'the node says something of a root that this version does not know', { hint: 'update Beckon on this machine' });
  const { keyHere, signedBy, ...rest } = root;
  return { ...rest, state, isKeyHere: keyHere, ...(signedBy === '' ? {} : { signedBy }) };
}

type Ask = <Request, Response>(call: UnaryCall<Request, Response>, request: Request) => Promise<Response>;

/** What is said where a root's key is. */
export function authorityCalls(ask: Ask): AuthorityApi {
  return {
    removeIssuer: async (input) => {
      const { nodeId, ...rest } = await ask(calls.removeIssuer, input);
      return { nodeId: asNodeId(nodeId), ...rest };
    },
    roots: async () => (await ask(calls.listRoots, {})).roots.map(decodeRoot),
    renewRoot: async () => {
      const { root, signedBy } = await ask(calls.renewRoot, {});
      return { root: decodeRoot(root), signedBy };
    },
    retireRoot: (input) => ask(calls.retireRoot, input),
  };
}
