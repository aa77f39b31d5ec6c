/** Entering without a token: what the issuer asks of the tailnet, what it says, and what the joiner believes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { denied } from '../../../src/domain/errors.ts';
import type { TailnetIdentity } from '../../../src/domain/tailnet.ts';
import { verifyChain, verifyIssuer } from '../../../src/trust/certificate.ts';
import type { EnrolmentDesk, EnrolmentOptions } from '../../../src/trust/enrolment.ts';
import { issuerProofOf, provesIssuer } from '../../../src/trust/issuer-proof.ts';
import { askIssuer, askToJoin, IssuerRefusal, meetIssuer } from '../../../src/trust/issuer-call.ts';
import { keepIssuerKey, openIssuer, wishIssuerKey } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey, rawPublicKey } from '../../../src/trust/node-key.ts';
import { systemClock, testFront, testMesh } from './mesh-fixture.ts';
import type { TestMesh } from './mesh-fixture.ts';

const ann: TailnetIdentity = { id: '2', name: 'desktop', user: 'ann@example.com', tags: [], addresses: ['100.64.0.2'], isExpired: false, isShared: false, isRouter: false, capabilities: new Map() };
const call = { clock: systemClock, timeoutMs: 3_000 };

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await testMesh();
});
afterAll(() => mesh[Symbol.asyncDispose]());

interface Desk extends EnrolmentDesk {
  readonly seen: string[];
}

function desk({ isIssuer = false, refuses = false } = {}): Desk {
  const seen: string[] = [];
  return {
    seen,
    quote: ({ name, by }) => {
      seen.push(`quote ${name} ${'identity' in by ? `${by.identity.name} of ${by.identity.user}` : 'token'}`);
      return refuses ? Promise.reject(denied('it has to wait', 'beckon mesh admit')) : Promise.resolve({ name, owner: 'ann@example.com', isIssuer });
    },
    advise: () => Promise.resolve({ meshName: 'home', isAdmissible: !refuses, why: refuses ? 'no rule' : '' }),
    admit: (_applicant, _grant, _chain, issuerCertificate) => {
      seen.push(issuerCertificate === undefined ? 'admit' : 'admit issuer');
      return Promise.resolve({ meshName: 'home', members: [] });
    },
  };
}

const identify: EnrolmentOptions['identify'] = () => Promise.resolve(ann);

describe('an application', () => {
  test('tells who it is from, gets a certificate, and one to issue with only where the issuer wants that', async () => {
    for (const isIssuer of [false, true]) {
      const told = desk({ isIssuer });
      await using front = await testFront(mesh, { desk: told, identify });
      const known = await meetIssuer(front.address, call);
      expect(known.nodeId).toBe(mesh.founder.nodeId);
      expect(await askIssuer(known, call)).toEqual({ meshName: 'home', isAdmissible: true, why: '' });
      const nodeKey = generateNodeKey();
      const directory = `${mesh.directory}/joiner-${String(isIssuer)}`;
      const admission = await askToJoin(known, { nodeKey, name: 'desktop', issuerKey: (meshId) => wishIssuerKey(directory, meshId) }, call);
      expect(told.seen).toEqual(['quote desktop desktop of ann@example.com', isIssuer ? 'admit issuer' : 'admit']);
      expect(verifyChain(admission.chain, known.root, Date.now())).toMatchObject({ nodeId: nodeKey.nodeId, owner: 'ann@example.com' });
      expect(admission.issuer !== undefined).toBe(isIssuer);
      if (admission.issuer === undefined) continue;
      // The second issuer works: what it signs is good in the mesh, and it can prove what it is.
      await keepIssuerKey(directory, known.meshId, admission.issuer.key);
      const issuer = await openIssuer(directory, known.root, admission.issuer.certificate);
      const chain = await issuer?.issue({ publicKey: generateNodeKey().publicKey, name: 'third', owner: 'ann' }, Date.now());
      expect(chain && verifyChain(chain, known.root, Date.now()).name).toBe('third');
      expect(verifyIssuer(admission.issuer.certificate, known.root, Date.now())).toEqual(rawPublicKey(admission.issuer.key));
      const proof = issuerProofOf(issuer, nodeKey.nodeId);
      expect(proof && provesIssuer(nodeKey.nodeId, proof, known.root, Date.now())).toBe(true);
      expect(proof && provesIssuer(mesh.founder.nodeId, proof, known.root, Date.now())).toBe(false);
      expect(await issuer?.certifyIssuer(generateNodeKey().publicKey, Date.now()), 'it has no root key').toBeUndefined();
    }
  });

  test('of one that has to wait is refused in words that say so', async () => {
    await using front = await testFront(mesh, { desk: desk({ refuses: true }), identify });
    const known = await meetIssuer(front.address, call);
    expect(await askIssuer(known, call)).toEqual({ meshName: 'home', isAdmissible: false, why: 'no rule' });
    const refused = await askToJoin(known, { nodeKey: generateNodeKey(), name: 'desktop' }, call).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(IssuerRefusal);
    expect((refused as IssuerRefusal).error).toMatchObject({ code: 'denied', message: 'it has to wait', hint: 'beckon mesh admit' });
  });

  test('of whom the tailnet does not know gets to no desk', async () => {
    const told = desk();
    await using front = await testFront(mesh, { desk: told, identify: () => Promise.reject(denied('this connection did not come through the tailnet')) });
    const known = await meetIssuer(front.address, call);
    for (const asked of [askIssuer(known, call), askToJoin(known, { nodeKey: generateNodeKey(), name: 'desktop' }, call)]) {
      await expect(asked.catch((error: unknown) => (error as IssuerRefusal).error)).resolves.toMatchObject({ code: 'denied', message: 'this connection did not come through the tailnet' });
    }
    expect(told.seen).toEqual([]);
  });

  test('goes to nobody but the node that proved to be the issuer', async () => {
    const told = desk();
    await using front = await testFront(mesh, { desk: told, identify });
    const known = await meetIssuer(front.address, call);
    const other = await testMesh();
    await expect(askToJoin({ ...known, nodeId: generateNodeKey().nodeId }, { nodeKey: generateNodeKey(), name: 'desktop' }, call)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(askToJoin({ ...known, root: other.certificates.root }, { nodeKey: generateNodeKey(), name: 'desktop' }, call)).rejects.toMatchObject({ code: expect.stringMatching(/CERT|SIGNED|ISSUER/) });
    await other[Symbol.asyncDispose]();
    expect(told.seen).toEqual([]);
  });
});
