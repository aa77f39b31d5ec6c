/**
 * Both ends judge: a node that dials checks that the server is a node of its own mesh, and the one it meant. Plain
 * node:tls pieces; grpc-js takes them through `credentials.createFromSecureContext`.
 */
import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { BrokerError } from '../domain/errors.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { Judge, MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import { parseLeaf } from './certificate.ts';

export interface Expectation {
  /** The node that must answer; any node of the mesh when left out (a seed, say). */
  readonly nodeId?: NodeId | undefined;
  readonly judge?: Judge | undefined;
  /** Told who answers once that is known, before a byte of the caller's has left. */
  readonly onServer?: ((peer: PeerIdentity) => void) | undefined;
}

export type ServerCheck = (host: string, certificate: PeerCertificate) => Error | undefined;

export interface ClientTls {
  readonly secureContext: SecureContext;
  readonly checkServerIdentity: ServerCheck;
}

/**
 * For `checkServerIdentity` of node:tls, which calls it only after the chain was verified up to the mesh's root. The
 * host that was dialled proves nothing and is not compared: a node is its key.
 */
export function serverCheck(meshId: MeshId, { nodeId, judge, onServer }: Expectation = {}): ServerCheck {
  return (_host, certificate) => {
    try {
      const peer = parseLeaf(certificate.raw);
      if (peer.meshId !== meshId) throw refused('the node that answers is of another mesh');
      if (nodeId !== undefined && peer.nodeId !== nodeId) {
        throw refused(`another node answers there: ${peer.name} (${peer.nodeId})`);
      }
      const why = judge?.(peer);
      if (why !== undefined) throw refused(`${peer.name} (${peer.nodeId}) is refused: ${why}`);
      onServer?.(peer);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : refused(String(error));
    }
  };
}

/** To make one takes as long as the rest of a dial. */
const contexts = new WeakMap<MeshIdentity, SecureContext>();

/** TLS 1.3 as this member, trusting the mesh's root alone. */
export function clientTls(identity: MeshIdentity, expectation: Expectation = {}): ClientTls {
  const { keyPem, chainPem, rootPem, meshId } = identity;
  const secureContext = contexts.get(identity) ?? createSecureContext({ key: keyPem, cert: chainPem, ca: rootPem, minVersion: 'TLSv1.3' });
  contexts.set(identity, secureContext);
  return { secureContext, checkServerIdentity: serverCheck(meshId, expectation) };
}

function refused(why: string): BrokerError {
  return new BrokerError('unauthenticated', why);
}
