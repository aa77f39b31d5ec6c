/**
 * What a certificate of a mesh looks like, for those who make one and those who are shown one. OpenSSL takes many forms for one: it compares
 * names without regard to capitals and blanks (RFC 5280, 7.1), reads PEM and lengths of any length, and passes over what follows. Whatever is judged
 * by text, known by its hash or ordered by its bytes has to have one form, so all others are refused.
 */
import type { X509Certificate } from 'node:crypto';

/** Bytes; those of a mesh have 300 to 800. */
export const longestCertificate = 8 * 1024;

/** Why these bytes are not exactly that certificate, which was read from them, in DER; undefined when they are. */
export function flawOfBytes(bytes: Uint8Array, { raw }: X509Certificate): string | undefined {
  if (raw.length > longestCertificate) return `a certificate of ${raw.length} bytes is longer than any of a mesh`;
  return raw.equals(bytes) ? undefined : 'those bytes are not one certificate in DER and nothing else';
}

/** OpenSSL finds a signer by its name, so each authority's name holds the start of its key. @param publicKey raw, 32 bytes */
export function commonNameOf(kind: 'root' | 'issuer', publicKey: Uint8Array): string {
  return `Beckon ${kind} ${Buffer.from(publicKey.subarray(0, 16)).toString('hex')}`;
}

const issuerForm = /^CN=Beckon issuer [0-9a-f]{32}$/;

/**
 * Whether a leaf names its issuer to the letter. Removals and withdrawals go by that name and not by the key that signed: with a certificate for
 * another key under its own name, which the length of a path does not count (RFC 5280, 3.2), an issuer could sign through that key.
 */
export function namesIssuer({ issuer }: X509Certificate): boolean {
  return issuerForm.test(issuer);
}

/** Whether an issuer is called as its key makes it. @param publicKey its own, raw */
export function isCalledAsIssuer({ subject }: X509Certificate, publicKey: Uint8Array): boolean {
  return subject === `CN=${commonNameOf('issuer', publicKey)}`;
}
