/** What is signed when a node joins, each bound to the mesh and, where somebody could stand in between, to the connection. */
import type { MeshId, NodeId } from '../domain/ids.ts';

/** Of the keying material that both ends take from the TLS connection (RFC 8446, 7.5). */
export const exporterLabel = 'EXPORTER-beckon-enrolment-v1';

/**
 * What an issuer's key signs about the node that keeps it. Without it any member could stand in an issuer's place and
 * collect tokens, since its own certificate is a good one of the mesh.
 */
export function issuerStatement(meshId: MeshId, nodeId: NodeId): Uint8Array {
  return joined(['beckon-issuer-v1', meshId, nodeId]);
}

/**
 * What the joining node signs to prove that it holds the key: bound to the mesh, to the name it asks for, and to this
 * one TLS connection, so that it is worth nothing anywhere else.
 */
export function proofOfKey(parts: {
  readonly meshId: MeshId;
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly channel: Uint8Array;
}): Uint8Array {
  const { meshId, name, publicKey, channel } = parts;
  return joined(['beckon-enrolment-v1', meshId, name, publicKey, channel]);
}

/** What a node signs whose certificate has ended: that very certificate, at that time of its clock, on this one connection. */
export function proofForRenewal(parts: { readonly meshId: MeshId; readonly leaf: Uint8Array; readonly nowMs: number; readonly channel: Uint8Array }): Uint8Array {
  const { meshId, leaf, nowMs, channel } = parts;
  return joined(['beckon-renewal-v1', meshId, leaf, String(nowMs), channel]);
}

/** The same for the key that the node would issue with. */
export function proofOfIssuerKey(parts: { readonly meshId: MeshId; readonly nodeKey: Uint8Array; readonly publicKey: Uint8Array; readonly channel: Uint8Array }): Uint8Array {
  const { meshId, nodeKey, publicKey, channel } = parts;
  return joined(['beckon-issuer-key-v1', meshId, nodeKey, publicKey, channel]);
}

/** What a key signs that a member would issue with, on its session: for that node, and for no other. */
export function issuerKeyOffer(meshId: MeshId, nodeId: NodeId, publicKey: Uint8Array): Uint8Array {
  return joined(['beckon-issuer-offer-v1', meshId, nodeId, publicKey]);
}

/** Each part preceded by its length, so that no two lists of parts are alike. */
function joined(parts: readonly (string | Uint8Array)[]): Uint8Array {
  const pieces = parts.flatMap((part) => {
    const bytesOfPart = Buffer.from(part as Uint8Array);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytesOfPart.length);
    return [length, bytesOfPart];
  });
  return new Uint8Array(Buffer.concat(pieces));
}
