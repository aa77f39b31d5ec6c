import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base36 } from 'multiformats/bases/base36';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateNodeKey, loadOrCreateNodeKey, nodeKeyOf, verifySignature } from '../../../src/trust/node-key.ts';
import { because, notRoot } from '../../support/programs.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'beckon-key-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const path = (): string => join(home, 'trust', 'node.key');

describe('a node key', () => {
  test('makes the node id that libp2p makes of it', () => {
    for (let round = 0; round < 20; round += 1) {
      const { nodeId, publicKey } = generateNodeKey();
      expect(nodeId).toBe(peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toCID().toString(base36));
      expect(nodeId).toMatch(/^k51/);
    }
  });

  test('signs what only its public key verifies', () => {
    const key = generateNodeKey();
    const message = Buffer.from('a record');
    const signature = key.sign(message);
    expect(verifySignature(key.publicKey, message, signature)).toBe(true);
    expect(verifySignature(key.publicKey, Buffer.from('a recorD'), signature)).toBe(false);
    expect(verifySignature(generateNodeKey().publicKey, message, signature)).toBe(false);
  });

  test('garbage where a key or signature should be does not verify, and does not throw', () => {
    const key = generateNodeKey();
    const message = Buffer.from('a record');
    expect(verifySignature(new Uint8Array(31), message, key.sign(message))).toBe(false);
    expect(verifySignature(new Uint8Array(32).fill(255), message, key.sign(message))).toBe(false);
    expect(verifySignature(key.publicKey, message, new Uint8Array(64))).toBe(false);
    expect(verifySignature(key.publicKey, message, new Uint8Array(0))).toBe(false);
  });

  test('is told from others however many have signed', () => {
    const keys = Array.from({ length: 1100 }, generateNodeKey);
    const message = Buffer.from('a record');
    for (const [index, key] of [...keys, ...keys].entries()) {
      expect(verifySignature(key.publicKey, message, key.sign(message))).toBe(true);
      expect(verifySignature(key.publicKey, message, keys[(index + 1) % keys.length]?.sign(message) ?? message)).toBe(false);
    }
  });

  test('of another kind is refused', () => {
    expect(() => nodeKeyOf(generateKeyPairSync('x25519').privateKey)).toThrow(/not an Ed25519 key/);
  });
});

describe('the key file', () => {
  test('is made once, for its owner alone, and read ever after', async () => {
    const first = await loadOrCreateNodeKey(path());
    const second = await loadOrCreateNodeKey(path());
    expect(second.nodeId).toBe(first.nodeId);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'trust'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(home, 'trust'))).toEqual(['node.key']);
  });

  test('is the same for all who make it at once', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateNodeKey(path())));
    expect(new Set(keys.map(({ nodeId }) => nodeId)).size).toBe(1);
    expect(await readdir(join(home, 'trust'))).toEqual(['node.key']);
  });

  test.each([0o640, 0o604, 0o644, 0o660])('that others may touch (mode %o) is refused by name with the remedy', async (mode) => {
    await loadOrCreateNodeKey(path());
    await chmod(path(), mode);
    await expect(loadOrCreateNodeKey(path())).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining(path()) as string,
      hint: `chmod 600 ${path()}`,
    });
  });

  test.skipIf(notRoot !== undefined)(`of another user is refused${because(notRoot)}`, async () => {
    const { chown } = await import('node:fs/promises');
    await loadOrCreateNodeKey(path());
    await chown(path(), 12_345, 12_345);
    await expect(loadOrCreateNodeKey(path())).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining('belongs to user 12345') as string,
    });
  });

  test('that is a symbolic link or a directory is refused', async () => {
    const real = join(home, 'real.key');
    await loadOrCreateNodeKey(real);
    const link = join(home, 'link.key');
    await symlink(real, link);
    await expect(loadOrCreateNodeKey(link)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('symbolic link') as string });
    await expect(loadOrCreateNodeKey(home)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('not a regular file') as string });
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  test.each([
    ['empty', ''],
    ['garbage', 'hello'],
    ['cut short', generateNodeKey().toPem().slice(0, 60)],
    ['of another kind', rsa],
    ['huge', 'x'.repeat(100_000)],
  ])('that is %s is refused by name and stays as it is', async (_what, text) => {
    const file = join(home, 'bad.key');
    await writeFile(file, text, { mode: 0o600 });
    await expect(loadOrCreateNodeKey(file)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(file) as string,
      hint: expect.any(String) as string,
    });
    expect((await stat(file)).size).toBe(text.length);
  });

  test('in a place that is no directory is unavailable', async () => {
    await writeFile(join(home, 'trust'), '');
    await expect(loadOrCreateNodeKey(path())).rejects.toMatchObject({ code: 'unavailable' });
  });
});
