/**
 * Invitation tokens: `bkn1.` and base64url of
 *
 *   root fingerprint (32) · secret (32) · number of addresses (1) · each: length of host (1), host, port (2) · check (4)
 *
 * where check is the start of SHA-256 over all before it, so that a cut or mistyped paste is told from a refused token.
 * Whoever holds a token can join: it is shown once, and a store keeps only `hashOfSecret`.
 */
import { createHash, randomBytes } from 'node:crypto';
import { BrokerError } from '../domain/errors.ts';
import { formatHostPort, parseHostPort, type HostPort } from '../domain/host-port.ts';

const prefix = 'bkn1.';
const hashLength = 32;
const checkLength = 4;
const mostAddresses = 32;
const longestToken = 16_384;

export interface Invitation {
  /** SHA-256 of the root certificate. */
  readonly rootFingerprint: Uint8Array;
  readonly secret: Uint8Array;
  /** Where issuers listen, best first; at least one. */
  readonly addresses: readonly HostPort[];
}

export function newSecret(): Uint8Array {
  return new Uint8Array(randomBytes(hashLength));
}

/** What is stored and looked up in place of the secret: lower-case hexadecimal. */
export function hashOfSecret(secret: Uint8Array): string {
  return createHash('sha256').update('beckon-invitation-secret-v1\0').update(secret).digest('hex');
}

/** @throws BrokerError `invalid` for no addresses, more than 32, or one that is no host:port. */
export function encodeToken(invitation: Invitation): string {
  const { rootFingerprint, secret, addresses } = invitation;
  if (rootFingerprint.length !== hashLength || secret.length !== hashLength) {
    throw new BrokerError('internal', 'a fingerprint and a secret have 32 bytes each');
  }
  if (addresses.length === 0 || addresses.length > mostAddresses) {
    throw new BrokerError('invalid', `a token carries 1 to ${mostAddresses} addresses, not ${addresses.length}`);
  }
  const parts = [Buffer.from(rootFingerprint), Buffer.from(secret), Buffer.from([addresses.length])];
  for (const address of addresses) {
    const { host, port } = parseHostPort(formatHostPort(address));
    const bytes = Buffer.from(host, 'ascii');
    parts.push(Buffer.from([bytes.length]), bytes, Buffer.from([port >> 8, port & 0xff]));
  }
  const body = Buffer.concat(parts);
  return prefix + Buffer.concat([body, checkOf(body)]).toString('base64url');
}

/**
 * Reads what a person pasted: white space anywhere (a terminal wraps) is passed over.
 * @throws BrokerError `denied`, as for a token that is refused: not a token, of a newer kind, cut short, or altered.
 */
export function decodeToken(text: string): Invitation {
  if (text.length > longestToken) throw wrong('it is too long');
  const token = text.replace(/\s+/g, '');
  if (!token.startsWith(prefix)) {
    if (/^bkn\d+\./.test(token)) throw wrong('a newer Beckon made it', 'update Beckon on this machine');
    throw wrong(token === '' ? 'it is empty' : `a token starts with ${prefix}`);
  }
  const encoded = token.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) throw wrong('it has characters that no token has');
  const bytes = Buffer.from(encoded, 'base64url');
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw wrong('it is cut short');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const rootFingerprint = new Uint8Array(take(hashLength));
  const secret = new Uint8Array(take(hashLength));
  const count = take(1).readUInt8();
  const hosts = Array.from({ length: count }, () => {
    const host = take(take(1).readUInt8()).toString('latin1');
    return { host, port: take(2).readUInt16BE() };
  });
  const body = bytes.subarray(0, at);
  const check = take(checkLength);
  // One spelling for one token: no bytes after the check, no other last character that decodes to the same.
  if (at !== bytes.length || !check.equals(checkOf(body)) || bytes.toString('base64url') !== encoded) {
    throw wrong('it was altered on the way, or a part of it is missing');
  }
  if (count === 0 || count > mostAddresses) throw wrong('it names no address to join at');
  return { rootFingerprint, secret, addresses: hosts.map((each) => parseHostPort(formatHostPort(each))) };
}

function checkOf(body: Uint8Array): Buffer {
  return createHash('sha256').update('beckon-token-v1\0').update(body).digest().subarray(0, checkLength);
}

function wrong(why: string, hint = 'copy the whole token, or make another one: beckon mesh invite'): BrokerError {
  return new BrokerError('denied', `that is not a Beckon token: ${why}`, { hint });
}
