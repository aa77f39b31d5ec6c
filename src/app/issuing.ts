/** Keys and certificates of those who let others in, as the core asks for them. */
import type { IssuerPorts } from '../broker/appointing.ts';
import type { Chronicler } from '../broker/chronicler.ts';
import { BrokerError, conflict } from '../domain/errors.ts';
import { asMeshId } from '../domain/ids.ts';
import type { MeshId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import { keyIn, lifeOf, readCertificate, verifyIssuer } from '../trust/certificate.ts';
import { issuerKeyOffer } from '../trust/enrolment-proofs.ts';
import { makeIssuer } from '../trust/issue.ts';
import { issuerKeyPath, keepIssuerKey, rootKeysHere, wishIssuerKey } from '../trust/mesh-authority.ts';
import { readKeyFile } from '../trust/key-file.ts';
import { publicKeyObject, rawPublicKey, signWith, verifySignature } from '../trust/node-key.ts';
import type { NodeKey } from '../trust/node-key.ts';
import type { MeshMembership } from './membership.ts';
import { rootsOf } from './node-self.ts';

export interface IssuingParts {
  readonly store: Store;
  readonly trustDir: string;
  readonly nodeKey: NodeKey;
  readonly clock: Clock;
  readonly chronicler: Chronicler;
  readonly membership: Pick<MeshMembership, 'load'>;
}

export function issuerPorts({ store, trustDir, nodeKey, clock, chronicler, membership }: IssuingParts): IssuerPorts {
  const meshId = (): MeshId => {
    const id = store.read.mesh()?.id;
    if (id === undefined) throw conflict('this node is in no mesh');
    return asMeshId(id);
  };
  const sameKey = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);
  return {
    holdsRootKey: async () => (await rootKeysHere(trustDir, rootsOf(store))).length > 0,
    certifyIssuer: async (publicKey) => {
      // Of the oldest that is here: nodes that know no other root know that one.
      const root = (await rootKeysHere(trustDir, rootsOf(store))).at(-1);
      return root === undefined ? undefined : makeIssuer(publicKeyObject(publicKey), root, clock.now());
    },
    offerIssuerKey: async () => {
      const key = await wishIssuerKey(trustDir, meshId());
      await keepIssuerKey(trustDir, meshId(), key);
      const publicKey = rawPublicKey(key);
      return { publicKey, proof: signWith(key, issuerKeyOffer(meshId(), nodeKey.nodeId, publicKey)) };
    },
    isOffered: (nodeId, { publicKey, proof }) => verifySignature(publicKey, issuerKeyOffer(meshId(), nodeId, publicKey), proof),
    becomeIssuer: async (certificate, act) => {
      const certified = verifyIssuer(certificate, rootsOf(store), clock.now());
      const key = await readKeyFile(issuerKeyPath(trustDir, meshId()));
      if (key === undefined || !sameKey(certified, rawPublicKey(key))) throw new BrokerError('unauthenticated', 'that certificate is not for the key that this node would issue with');
      const known = store.read.membership();
      const before = known?.isIssuer === true ? known.issuerDer : undefined;
      // One that was sent again, or recorded once.
      if (before !== undefined && lifeOf(before).notAfterMs >= lifeOf(certificate).notAfterMs) return;
      await store.write.becomeIssuer({ stamp: chronicler.stamp(), act, certificate });
      await membership.load();
    },
    lifeOf,
    isOfKey: (certificate, publicKey) => sameKey(rawPublicKey(keyIn(readCertificate(certificate))), publicKey),
  };
}
