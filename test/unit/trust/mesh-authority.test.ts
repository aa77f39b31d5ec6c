import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseLeaf, verifyChain } from '../../../src/trust/certificate.ts';
import { createMesh, issuerKeyPath, meshIdentityOf, openIssuer, rootKeyPath, type MeshCertificates } from '../../../src/trust/mesh-authority.ts';
import { writeKeyFile } from '../../../src/trust/key-file.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';

const nowMs = Date.UTC(2026, 0, 15);
const nodeKey = generateNodeKey();
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'beckon-mesh-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const create = (): Promise<MeshCertificates> => createMesh({ directory, nodeKey, nodeName: 'laptop', owner: 'ann', nowMs });

test('a new mesh has its keys in files for the owner alone, and this node as its first member', async () => {
  const { meshId, root, chain } = await create();
  expect(verifyChain(chain, root, nowMs)).toMatchObject({ meshId, nodeId: nodeKey.nodeId, name: 'laptop', owner: 'ann' });
  for (const path of [rootKeyPath(directory, meshId), issuerKeyPath(directory, meshId)]) {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  }
});

test('a second mesh leaves the keys of the first alone', async () => {
  const first = await create();
  const second = await create();
  expect(second.meshId).not.toBe(first.meshId);
  expect(await openIssuer(directory, first.root, first.chain.issuer)).toBeDefined();
  expect(await openIssuer(directory, second.root, second.chain.issuer)).toBeDefined();
});

test('an issuer opened again lets nodes in whom every member believes', async () => {
  const { meshId, root, chain } = await create();
  const issuer = await openIssuer(directory, root, chain.issuer);
  const other = generateNodeKey();
  const issued = await issuer?.issue({ publicKey: other.publicKey, name: 'desktop', owner: 'ben' }, nowMs + 1000);
  expect(issued && verifyChain(issued, root, nowMs + 1000)).toMatchObject({ meshId, nodeId: other.nodeId, name: 'desktop', owner: 'ben' });
});

test('a node without the key file is no issuer; with the wrong one it says so', async () => {
  const { meshId, root, chain } = await create();
  await rm(issuerKeyPath(directory, meshId));
  expect(await openIssuer(directory, root, chain.issuer)).toBeUndefined();
  await writeKeyFile(issuerKeyPath(directory, meshId), generateNodeKey().privateKey);
  await expect(openIssuer(directory, root, chain.issuer)).rejects.toMatchObject({ code: 'invalid' });
});

test('a key file is never overwritten', async () => {
  const { meshId } = await create();
  await expect(writeKeyFile(rootKeyPath(directory, meshId), nodeKey.privateKey)).rejects.toMatchObject({ code: 'conflict' });
});

test('an illegal name or owner makes no mesh and leaves no key', async () => {
  const founding = { directory, nodeKey, nodeName: 'laptop', owner: 'ann', nowMs };
  await expect(createMesh({ ...founding, nodeName: 'Lap top' })).rejects.toMatchObject({ code: 'invalid' });
  await expect(createMesh({ ...founding, owner: '' })).rejects.toMatchObject({ code: 'invalid' });
  const { readdir } = await import('node:fs/promises');
  expect(await readdir(directory)).toEqual([]);
});

test('the identity of a member speaks with its own key only; a certificate that has ended keeps no node from running', async () => {
  const { meshId, root, chain } = await create();
  const mesh = { name: 'home', root, chain };
  expect(meshIdentityOf(nodeKey, mesh)).toMatchObject({ meshId, meshName: 'home', nodeId: nodeKey.nodeId, name: 'laptop' });
  expect(() => meshIdentityOf(generateNodeKey(), mesh)).toThrow(/this node's key makes/);
  expect(() => verifyChain(chain, root, parseLeaf(chain.leaf).notAfterMs + 1)).toThrow(/expired/);
});
