/** Who is who in the meshes of registry tests: real keys, and certificates that are plain text. */
import { BrokerError } from '../../src/domain/errors.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import type { MeshId, NodeId } from '../../src/domain/ids.ts';
import type { CertificateChain, PeerIdentity } from '../../src/domain/trust.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import type { NodeKey } from '../../src/trust/node-key.ts';
import { utf8 } from './temp-store.ts';

export const home = asMeshId('a'.repeat(26));

/** What a certificate of these tests says; whoever can write JSON is its issuer. */
export function chainOf(identity: { readonly nodeId: NodeId; readonly name: string; readonly notBeforeMs?: number; readonly mesh?: MeshId }): CertificateChain {
  return { leaf: utf8(JSON.stringify({ owner: 'ada', notBeforeMs: 1, mesh: home, ...identity })), issuer: utf8('issuer') };
}

/** @throws BrokerError `unauthenticated` for one of another mesh */
export function verify({ leaf }: CertificateChain): PeerIdentity {
  const { nodeId, name, owner, notBeforeMs, mesh } = JSON.parse(new TextDecoder().decode(leaf)) as { nodeId: NodeId; name: string; owner: string; notBeforeMs: number; mesh: MeshId };
  if (mesh !== home) throw new BrokerError('unauthenticated', 'of another mesh');
  return { meshId: home, nodeId, name, owner, serial: '1', notBeforeMs, notAfterMs: 9e15, publicKey: new Uint8Array(32) };
}

const keys: NodeKey[] = [];
/** The same keys for every run: making them takes longer than a run. */
export function keyFor(number: number): NodeKey {
  while (keys.length <= number) keys.push(generateNodeKey());
  return keys[number] as NodeKey;
}
