/** The one form of a certificate's bytes, of those that were stored when other forms were believed, too. */
import type { CertificateChain } from './trust.ts';

/** Ed25519 as it stands in a certificate (RFC 8410), and the head of the signature behind it. */
const algorithmContent = Buffer.from('06032b6570', 'hex');
const signatureHead = Buffer.concat([Buffer.from([0x30, algorithmContent.length]), algorithmContent, Buffer.from('034100', 'hex')]);
const signatureLength = 64;

interface Element {
  readonly tag: number;
  /** Where its content begins, and where it ends. */
  readonly from: number;
  readonly to: number;
}

/**
 * DER (X.690, 10.1) of the certificate that those bytes begin with: without what follows, and with no longer lengths than it takes. What the issuer
 * signed is left as it is. Bytes that are no certificate of a mesh come back as they are.
 */
export function exactCertificate(stored: Uint8Array): Uint8Array {
  const whole = elementAt(stored, 0);
  const signed = whole === undefined ? undefined : elementAt(stored, whole.from);
  const algorithm = signed === undefined ? undefined : elementAt(stored, signed.to);
  const signature = algorithm === undefined ? undefined : elementAt(stored, algorithm.to);
  if (whole?.tag !== 0x30 || signed?.tag !== 0x30 || algorithm?.tag !== 0x30 || signature?.tag !== 0x03 || signature.to !== whole.to || signature.to - signature.from !== signatureLength + 1) return stored;
  if (algorithm.to - algorithm.from !== algorithmContent.length || !algorithmContent.every((byte, index) => byte === stored[algorithm.from + index]) || stored[signature.from] !== 0) return stored;
  const length = signed.to - whole.from + signatureHead.length + signatureLength;
  if (length < 0x100 || length > 0xffff) return stored;
  // Nothing behind it, and no byte more than it takes: then it is exact. Rows are read often.
  if (whole.from === 4 && stored.length === whole.from + length) return stored;
  return Buffer.concat([Buffer.from([0x30, 0x82, length >> 8, length & 0xff]), stored.subarray(whole.from, signed.to), signatureHead, stored.subarray(signature.to - signatureLength, signature.to)]);
}

/** Both certificates so. */
export function exactChain({ leaf, issuer }: CertificateChain): CertificateChain {
  return { leaf: exactCertificate(leaf), issuer: exactCertificate(issuer) };
}

function elementAt(bytes: Uint8Array, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (lengthBytes > 4 || first === 0x80) return undefined;
  const from = at + 2 + lengthBytes;
  let length = lengthBytes === 0 ? first : 0;
  for (let index = at + 2; index < from; index += 1) length = length * 256 + (bytes[index] ?? 0);
  return from + length > bytes.length ? undefined : { tag, from, to: from + length };
}
