/**
 * A private key in a file: PKCS#8 PEM, mode 0600, owned by the user that runs the node. It is written once and never
 * overwritten: whoever finds it there uses it, or refuses it by name.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BrokerError } from '../domain/errors.ts';
import { flawOfPrivateFile } from '../domain/private-file.ts';
import { codeOf } from '../domain/system-error.ts';
import { writeNewFile } from './new-file.ts';

const largestKeyFile = 4096;

/**
 * @returns undefined when there is no such file.
 * @throws BrokerError `denied` when another user owns it or could read it, `invalid` when it holds no Ed25519 key,
 * `unavailable` when it can't be read.
 */
export async function readKeyFile(path: string): Promise<KeyObject | undefined> {
  let text: string;
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = await file.stat();
    const flaw = flawOfPrivateFile(path, stat, process.getuid?.());
    if (flaw !== undefined) throw refused(path, flaw.why, flaw.hint);
    if (stat.size > largestKeyFile) throw garbage(path);
    text = await file.readFile('utf8');
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw refused(path, 'it is a symbolic link', 'put the file itself there');
    throw new BrokerError('unavailable', `cannot read the key file ${path}: ${code}`, { cause: error });
  }
  return parseKey(path, text);
}

function parseKey(path: string, pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' });
  } catch (error) {
    throw garbage(path, error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw garbage(path);
  return key;
}

/**
 * Writes the key so that a crash leaves a whole file or none, and makes it durable before it returns. The directory is
 * made with mode 0700 where it is missing.
 * @throws BrokerError `conflict` when the file exists, `unavailable` when it can't be written.
 */
export async function writeKeyFile(path: string, key: KeyObject): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeNewFile(path, key.export({ type: 'pkcs8', format: 'pem' }));
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') throw new BrokerError('conflict', `the key file ${path} exists already`, { cause: error });
    throw new BrokerError('unavailable', `cannot write the key file ${path}: ${code}`, {
      hint: 'check that the directory can be written and that the disk has room',
      cause: error,
    });
  }
}

function refused(path: string, why: string, hint: string): BrokerError {
  return new BrokerError('denied', `the key file ${path} is refused: ${why}`, { hint });
}

function garbage(path: string, cause?: unknown): BrokerError {
  return new BrokerError('invalid', `the key file ${path} is refused: it holds no Ed25519 key in PKCS#8 PEM`, {
    hint: 'restore it from a backup; with a new key the node is a new member and must join again',
    cause,
  });
}
