import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeRoot } from '../../../src/trust/issue.ts';
import { rawPublicKey } from '../../../src/trust/node-key.ts';
import { readRecoveryFile, usualCost, writeRecoveryFile } from '../../../src/trust/recovery-file.ts';
import type { Recovery } from '../../../src/trust/recovery-file.ts';

const nowMs = Date.UTC(2026, 0, 15);
/** These tests write many. */
const cheap = { ...usualCost, n: 2 ** 14 };
const passphrase = 'correct horse battery';
const rootKey = generateKeyPairSync('ed25519').privateKey;
const directory = mkdtempSync(join(tmpdir(), 'beckon-recovery-'));
const path = join(directory, 'home.recovery');
let recovery: Recovery;
let text: string;

beforeAll(async () => {
  const root = await makeRoot(rootKey, nowMs);
  const chain = { leaf: new Uint8Array([1, 2]), issuer: new Uint8Array([3]) };
  recovery = { meshName: 'home', owner: 'ada', rootKey, root, members: [{ chain, addresses: ['10.0.0.1:7423'] }, { chain, addresses: [], issuerDer: new Uint8Array([5]) }], revocations: [{ payload: new Uint8Array([4]), signature: new Uint8Array(64) }] };
  await writeRecoveryFile(path, recovery, passphrase, nowMs, cheap);
  text = readFileSync(path, 'utf8');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('what was written is what is read, by its passphrase, however its letters were composed', async () => {
  const { rootKey: key, ...back } = await readRecoveryFile(path, passphrase);
  const { rootKey: _key, ...given } = recovery;
  expect(back).toEqual(given);
  expect(rawPublicKey(key)).toEqual(rawPublicKey(rootKey));
  const composed = join(directory, 'composed');
  await writeRecoveryFile(composed, recovery, 'café au lait, ça va', nowMs, cheap);
  expect((await readRecoveryFile(composed, 'café au lait, ça va'.normalize('NFD'))).owner).toBe('ada');
});

test('it is this user’s alone, says for people what it is, and shows nothing of the key', () => {
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(JSON.parse(text)).toMatchObject({ beckonRecovery: 1, mesh: { name: 'home' }, madeAt: '2026-01-15T00:00:00.000Z' });
  const secret = rootKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32);
  for (const form of ['base64url', 'base64', 'hex'] as const) expect(text).not.toContain(secret.toString(form).slice(0, 20));
  expect(text).not.toContain('"ada"');
  expect(readdirSync(directory).filter((each) => each.endsWith('.tmp'))).toEqual([]);
});

test('a guess costs as much as is meant, unless a test wants otherwise', () => {
  expect(usualCost).toEqual({ n: 131_072, r: 8, p: 1 });
  expect((JSON.parse(text) as { key: object }).key).toMatchObject({ by: 'scrypt', ...cheap });
});

test('where something is already, it is left alone, and so is all else', async () => {
  await expect(writeRecoveryFile(path, recovery, passphrase, nowMs, cheap)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(path) });
  expect(readFileSync(path, 'utf8')).toBe(text);
  await expect(writeRecoveryFile(join(directory, 'no', 'such', 'place'), recovery, passphrase, nowMs, cheap)).rejects.toMatchObject({ code: 'unavailable' });
  expect(readdirSync(directory).filter((each) => each.endsWith('.tmp'))).toEqual([]);
});

test('a short passphrase is refused before anything is written', async () => {
  await expect(writeRecoveryFile(join(directory, 'short'), recovery, 'short', nowMs, cheap)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('12') });
  expect(readdirSync(directory)).not.toContain('short');
});

test('another passphrase is one clear error, which names the file’s mesh and day', async () => {
  await expect(readRecoveryFile(path, 'incorrect horse battery')).rejects.toMatchObject({ code: 'denied', message: expect.stringMatching(/passphrase.*home.*2026-01-15/) });
});

test.each<[string, (whole: string) => string]>([
  ['cut short', (whole) => whole.slice(0, -40)],
  ['empty', () => ''],
  ['of one changed letter in what is sealed', (whole) => whole.replace(/("sealed": ".{40})./, (_all, before: string) => `${before}${before.endsWith('A') ? 'B' : 'A'}`)],
  ['with another salt', (whole) => whole.replace(/"salt": "../, '"salt": "AA')],
  ['with another name', (whole) => whole.replace('"home"', '"work"')],
  ['that asks for all memory there is', (whole) => whole.replace('16384', '1073741824')],
  ['that is no recovery file', () => '{"hello": "world"}'],
  ['that is a list', () => '[]'],
  ['that is null', () => 'null'],
])('a file %s is damaged, and said to be', async (_what, change) => {
  const damaged = join(directory, `damaged-${_what.replaceAll(' ', '-')}`);
  const changed = change(text);
  expect(changed).not.toBe(text);
  writeFileSync(damaged, changed);
  await expect(readRecoveryFile(damaged, passphrase)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(damaged), hint: 'use another copy of it' });
});

test('one that is not there, a directory, and one of a newer version are told apart', async () => {
  await expect(readRecoveryFile(join(directory, 'none'), passphrase)).rejects.toMatchObject({ code: 'not_found' });
  await expect(readRecoveryFile(directory, passphrase)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('not a file') });
  const newer = join(directory, 'newer');
  writeFileSync(newer, text.replace('"beckonRecovery": 1', '"beckonRecovery": 3'));
  await expect(readRecoveryFile(newer, passphrase)).rejects.toMatchObject({ code: 'incompatible', hint: expect.stringContaining('update') });
});
