/** Renewing what has ended, over a real front and entrance. */
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unavailable } from '../../../src/domain/errors.ts';
import { toPem } from '../../../src/trust/certificate.ts';
import { encodeMessage } from '../../../src/trust/enrolment-messages.ts';
import { exporterLabel, proofForRenewal } from '../../../src/trust/enrolment-proofs.ts';
import { exportKey } from '../../../src/trust/entrance.ts';
import { exchange } from '../../../src/trust/https-call.ts';
import { makeLeaf } from '../../../src/trust/issue.ts';
import { IssuerRefusal, meetIssuer } from '../../../src/trust/issuer-call.ts';
import { readKeyFile } from '../../../src/trust/key-file.ts';
import { issuerKeyPath } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';
import { askToRenew } from '../../../src/trust/renewal.ts';
import type { RenewalDesk } from '../../../src/trust/renewal.ts';
import { dayMs, refusalsOf, systemClock, testFront, testMesh, type TestFront, type TestMesh } from './mesh-fixture.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await testMesh();
});
afterAll(() => mesh[Symbol.asyncDispose]());

const nodeKey = generateNodeKey();
const call = { clock: systemClock, timeoutMs: 2_000 };

async function endedChain(key: NodeKey = nodeKey) {
  const { certificates, directory } = mesh;
  const issuerKey = await readKeyFile(issuerKeyPath(directory, certificates.meshId));
  if (issuerKey === undefined) throw new Error('no issuer key');
  const leaf = await makeLeaf({ publicKey: key.publicKey, name: 'desktop', owner: 'ann' }, { certificate: certificates.chain.issuer, key: issuerKey }, certificates.root, Date.now() - 95 * dayMs);
  return { leaf, issuer: certificates.chain.issuer };
}

const renews: RenewalDesk = async () => ({ chain: await mesh.issuer.issue({ publicKey: nodeKey.publicKey, name: 'desktop', owner: 'ann' }, Date.now()) });

test('a node whose certificate has ended, and which no session would take, gets another by its key', async () => {
  const asked: number[] = [];
  await using front = await testFront(mesh, { renew: (chain, nowMs) => (asked.push(nowMs), renews(chain, nowMs)) });
  const chain = await endedChain();
  const known = await meetIssuer(front.address, call);
  const verdict = await askToRenew(known, { nodeKey, chain }, call);
  if (!('chain' in verdict)) throw new Error('it was refused');
  expect(Math.abs((asked[0] ?? 0) - Date.now())).toBeLessThan(10_000);
  const socket = connectTls({ ...front.address, key: nodeKey.toPem(), cert: toPem(verdict.chain.leaf, verdict.chain.issuer), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  await expect.poll(() => front.members.length).toBe(1);
  socket.destroy();
  expect(front.refusals).toEqual([]);
});

test('in the handshake itself the ended certificate opens nothing', async () => {
  await using front = await testFront(mesh, { renew: renews });
  const chain = await endedChain();
  connectTls({ ...front.address, key: nodeKey.toPem(), cert: toPem(chain.leaf, chain.issuer), rejectUnauthorized: false, ALPNProtocols: ['h2'] }).on('error', () => undefined);
  expect(await refusalsOf(front)).toEqual(['the certificate has expired']);
  expect([front.members, front.requests]).toEqual([[], []]);
});

test('without the key of that certificate the desk is not even asked', async () => {
  let asked = 0;
  await using front = await testFront(mesh, { renew: (chain, nowMs) => ((asked += 1), renews(chain, nowMs)) });
  const known = await meetIssuer(front.address, call);
  await expect(askToRenew(known, { nodeKey: generateNodeKey(), chain: await endedChain() }, call)).rejects.toBeInstanceOf(IssuerRefusal);
  expect(asked).toBe(0);
});

test('a request that was recorded is worth nothing on another connection, nor with another time in it', async () => {
  let asked = 0;
  await using front = await testFront(mesh, { renew: (chain, nowMs) => ((asked += 1), renews(chain, nowMs)) });
  const chain = await endedChain();
  const nowMs = Date.now();
  const { meshId } = mesh.certificates;
  const post = async (to: TestFront, body: (channel: Uint8Array) => object): Promise<number> => {
    const answer = await exchange({
      address: to.address, ...call, signal: undefined, detour: undefined, localAddress: undefined, tls: { rejectUnauthorized: false, checkServerIdentity: () => undefined }, method: 'POST', path: '/v1/renew',
      body: (socket) => encodeMessage(body(exportKey(socket, exporterLabel))), mostBytes: 64_000,
    });
    return answer.status;
  };
  const proofOn = (channel: Uint8Array, atMs = nowMs): Uint8Array => nodeKey.sign(proofForRenewal({ meshId, leaf: chain.leaf, nowMs: atMs, channel }));
  let recorded: Uint8Array | undefined;
  expect(await post(front, (channel) => ({ chain, nowMs, proof: (recorded = proofOn(channel)) }))).toBe(200);
  expect(await post(front, () => ({ chain, nowMs, proof: recorded }))).toBe(401);
  expect(await post(front, (channel) => ({ chain, nowMs, proof: proofOn(channel, nowMs - dayMs) }))).toBe(401);
  expect(await post(front, (channel) => ({ chain: { leaf: new Uint8Array([1]), issuer: chain.issuer }, nowMs, proof: proofOn(channel) }))).toBe(400);
  expect(await post(front, () => ({ nowMs: -1 }))).toBe(400);
  expect(asked).toBe(1);
});

test('one that was removed is told by whom, with the word of the issuer that proves it', async () => {
  const revocation = { payload: new Uint8Array([1, 2]), signature: new Uint8Array(64) };
  await using front = await testFront(mesh, { renew: () => Promise.resolve({ revocation }) });
  expect(await askToRenew(await meetIssuer(front.address, call), { nodeKey, chain: await endedChain() }, call)).toEqual({ revocation });
});

test('an issuer that can’t now says so, and that is no last word', async () => {
  await using front = await testFront(mesh, { renew: () => Promise.reject(unavailable('the clocks are 2d apart')) });
  const refusal = await askToRenew(await meetIssuer(front.address, call), { nodeKey, chain: await endedChain() }, call).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'unavailable', message: 'the clocks are 2d apart' });
});
