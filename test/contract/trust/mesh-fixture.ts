/** A mesh of the moment on loopback: authority, members, a front with its entrance, and what they were told. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { expect } from 'vitest';
import type { HostPort } from '../../../src/domain/host-port.ts';
import type { Clock } from '../../../src/domain/ports.ts';
import type { Judge, MeshIdentity, PeerIdentity } from '../../../src/domain/trust.ts';
import { fingerprintOf, toPem } from '../../../src/trust/certificate.ts';
import { enrolmentHandler, type EnrolmentDesk, type EnrolmentOptions } from '../../../src/trust/enrolment.ts';
import { denied } from '../../../src/domain/errors.ts';
import { Entrance, type EntranceLimits } from '../../../src/trust/entrance.ts';
import { Front, type Refusal } from '../../../src/trust/front.ts';
import type { HandshakeLimits } from '../../../src/trust/handshakes.ts';
import { makeLeaf } from '../../../src/trust/issue.ts';
import { createMesh, issuerKeyPath, meshIdentityOf, openIssuer, type Issuer, type MeshCertificates } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey, type NodeKey } from '../../../src/trust/node-key.ts';
import { readKeyFile } from '../../../src/trust/key-file.ts';
import type { RenewalDesk } from '../../../src/trust/renewal.ts';
import { encodeToken, newSecret, type Invitation } from '../../../src/trust/token.ts';

export const dayMs = 86_400_000;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (ms, fn) => {
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};

export interface TestMesh extends AsyncDisposable {
  readonly certificates: MeshCertificates;
  readonly issuer: Issuer;
  readonly founder: NodeKey;
  readonly identity: MeshIdentity;
  readonly directory: string;
  /** A certified member; `madeAtMs` makes one that is late or early, `inTheNameOf` a forged one of another mesh. */
  member(name: string, how?: { readonly madeAtMs?: number; readonly inTheNameOf?: TestMesh }): Promise<MeshIdentity>;
  invitation(...addresses: readonly HostPort[]): Invitation;
  token(...addresses: readonly HostPort[]): string;
}

export async function testMesh(): Promise<TestMesh> {
  const directory = await mkdtemp(join(tmpdir(), 'beckon-trust-'));
  const founder = generateNodeKey();
  const nowMs = Date.now();
  const certificates = await createMesh({ directory, nodeKey: founder, nodeName: 'laptop', owner: 'ann@example.com', nowMs });
  const { root, chain, meshId } = certificates;
  const issuer = await openIssuer(directory, root, chain.issuer);
  const issuerKey = await readKeyFile(issuerKeyPath(directory, meshId));
  if (issuer === undefined || issuerKey === undefined) throw new Error('the issuer key was not written');
  const invitation = (...addresses: readonly HostPort[]): Invitation => ({
    rootFingerprint: fingerprintOf(root),
    secret: newSecret(),
    addresses,
  });
  return {
    certificates,
    issuer,
    founder,
    directory,
    identity: meshIdentityOf(founder, { name: 'home', root, chain }),
    member: async (name, { madeAtMs = nowMs, inTheNameOf } = {}) => {
      const key = generateNodeKey();
      const subject = { publicKey: key.publicKey, name, owner: 'ann@example.com' };
      const named = inTheNameOf?.certificates.root ?? root;
      const leaf = await makeLeaf(subject, { certificate: chain.issuer, key: issuerKey }, named, madeAtMs);
      return {
        ...meshIdentityOf(founder, { name: 'home', root, chain }),
        nodeId: key.nodeId,
        name,
        keyPem: key.toPem(),
        chainPem: toPem(leaf, chain.issuer),
      };
    },
    invitation,
    token: (...addresses) => encodeToken(invitation(...addresses)),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface TestFront extends AsyncDisposable {
  readonly front: Front;
  readonly address: HostPort;
  readonly refusals: Refusal[];
  readonly members: { readonly socket: TLSSocket; readonly peer: PeerIdentity }[];
  readonly requests: string[];
}

export interface TestFrontOptions {
  readonly judge?: Judge;
  readonly desk?: EnrolmentDesk;
  readonly renew?: RenewalDesk;
  /** Whom the tailnet knows at the other end; nobody when left out. */
  readonly identify?: EnrolmentOptions['identify'];
  readonly limits?: Partial<EntranceLimits>;
  readonly handshakeTimeoutMs?: number;
  readonly handshakes?: Partial<HandshakeLimits>;
  readonly onMember?: (socket: TLSSocket, peer: PeerIdentity) => void;
}

const closedDesk: EnrolmentDesk = {
  quote: () => Promise.reject(new Error('nobody was to ask the desk')),
  advise: () => Promise.reject(new Error('nobody was to ask the desk')),
  admit: () => Promise.reject(new Error('nobody was to ask the desk')),
};

export async function testFront(mesh: TestMesh, options: TestFrontOptions = {}): Promise<TestFront> {
  const refusals: Refusal[] = [];
  const members: TestFront['members'] = [];
  const requests: string[] = [];
  const onRefused = (refusal: Refusal): void => void refusals.push(refusal);
  const handle = enrolmentHandler({
    clock: systemClock,
    nodeId: mesh.identity.nodeId,
    issuer: () => mesh.issuer,
    desk: options.desk ?? closedDesk,
    renew: options.renew ?? (() => Promise.reject(new Error('nobody was to ask for a renewal'))),
    identify: options.identify ?? (() => Promise.reject(denied('there is no tailnet here'))),
  });
  const entrance = new Entrance({
    clock: systemClock,
    handle: (request) => {
      requests.push(`${request.method} ${request.path}`);
      return handle(request);
    },
    onRefused,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const front = new Front({
    judge: options.judge ?? (() => undefined),
    onMember: (socket, peer) => {
      members.push({ socket, peer });
      options.onMember?.(socket, peer);
    },
    onStranger: (socket, remoteAddress) => entrance.admit(socket, remoteAddress),
    onRefused,
    ...(options.handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs: options.handshakeTimeoutMs }),
    ...(options.handshakes === undefined ? {} : { handshakes: options.handshakes }),
    now: () => performance.now(),
  });
  front.setIdentity(mesh.identity);
  const [address] = await front.start([{ host: '127.0.0.1', port: 0 }]);
  if (address === undefined) throw new Error('the front is bound to nothing');
  return {
    front,
    address,
    refusals,
    members,
    requests,
    [Symbol.asyncDispose]: async () => {
      await front.stop();
      await entrance.stop();
      for (const { socket } of members) socket.destroy();
    },
  };
}

/** Waits until the front refused that many, then a little, so that one too many shows as well. */
export async function refusalsOf({ refusals }: TestFront, count = 1): Promise<readonly string[]> {
  await expect.poll(() => refusals.length, { timeout: 5000, interval: 5 }).toBeGreaterThanOrEqual(count);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(refusals).toHaveLength(count);
  for (const { remoteAddress } of refusals) expect(remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  return refusals.map(({ why }) => why);
}
