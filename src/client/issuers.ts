/** Who lets others in, as a node answers it. */
import type { AddedIssuer, ImportedRecovery } from '../broker/issuer-api.ts';
import { asMeshId, asNodeId } from '../domain/ids.ts';
import type { AddIssuerResponse, ImportRecoveryResponse } from '../gen/beckon/v1/membership.ts';

export function decodeAddedIssuer({ nodeId, ...rest }: AddIssuerResponse): AddedIssuer {
  return { nodeId: asNodeId(nodeId), ...rest };
}

export function decodeImportedRecovery({ meshId, ...rest }: ImportRecoveryResponse): ImportedRecovery {
  return { meshId: asMeshId(meshId), ...rest };
}
