/** A mesh with the same keys at each run: who signs what in the boundaries that judge signatures. */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { makeIssuer, makeLeaf, makeRoot } from '../../../src/trust/issue.ts';
import { nodeKeyOf } from '../../../src/trust/node-key.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';

/** When everything here is in force. */
export const nowMs = 1_780_000_000_000;

/** Keys by number: this node, the member that tells, another of its person, another person's. */
export const who = { self: 20, peer: 10, other: 11, stranger: 12 } as const;

/** An Ed25519 key of that number (RFC 8410: its seed behind a fixed head). */
export function keyOf(number: number): KeyObject {
  const seed = Buffer.alloc(32, number);
  return createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
}

export const nodeKey = (number: number): NodeKey => nodeKeyOf(keyOf(number));

export interface FuzzMesh {
  readonly root: Uint8Array;
  readonly issuer: Uint8Array;
  readonly chainOf: (number: number, name: string, how?: { readonly madeAtMs?: number; readonly owner?: string }) => Promise<CertificateChain>;
}

/** @param number of the root's key; its issuer's is the next */
export async function meshOf(number: number): Promise<FuzzMesh> {
  const [rootKey, issuerKey] = [keyOf(number), keyOf(number + 1)];
  const root = await makeRoot(rootKey, nowMs);
  const issuer = await makeIssuer(issuerKey, { certificate: root, key: rootKey }, nowMs);
  return {
    root,
    issuer,
    chainOf: async (node, name, { madeAtMs = nowMs, owner = 'ada' } = {}) => ({ issuer, leaf: await makeLeaf({ publicKey: nodeKey(node).publicKey, name, owner }, { certificate: issuer, key: issuerKey }, root, madeAtMs) }),
  };
}
