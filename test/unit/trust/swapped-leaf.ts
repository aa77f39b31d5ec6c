import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { webcrypto } from 'node:crypto';
import { meshIdOf, readCertificate } from '../../../src/trust/certificate.ts';
import type { Authority } from '../../../src/trust/issue.ts';
import { publicKeyObject } from '../../../src/trust/node-key.ts';

/**
 * A leaf as `makeLeaf` would never make it: it may name a node whose key it does not hold, and its issuer otherwise than the issuer is called.
 * @param issuerName its common name; left out: the true one
 * @param padding bytes of an extension that says nothing
 */
export default async function swappedLeaf(
  issuer: Authority,
  root: Uint8Array,
  publicKey: Uint8Array,
  nodeId: string,
  nowMs: number,
  { issuerName, padding = 0 }: { readonly issuerName?: string; readonly padding?: number } = {},
): Promise<Uint8Array> {
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '4001',
      subject: 'CN=laptop,O=ann',
      issuer: issuerName === undefined ? new x509.X509Certificate(Buffer.from(issuer.certificate)).subjectName : new x509.Name([{ CN: [{ utf8String: issuerName }] }]),
      notBefore: new Date(nowMs - 1000),
      notAfter: new Date(nowMs + 86_400_000),
      publicKey: publicKeyObject(publicKey).toCryptoKey('Ed25519', true, ['verify']),
      signingKey: issuer.key.toCryptoKey('Ed25519', true, ['sign']),
      signingAlgorithm: { name: 'Ed25519' },
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'url', value: `beckon://${meshIdOf(readCertificate(root))}/${nodeId}` },
        ]),
        ...(padding === 0 ? [] : [new x509.Extension('1.3.6.1.4.1.99999.1', false, new Uint8Array(padding))]),
      ],
    },
    webcrypto,
  );
  return new Uint8Array(certificate.rawData);
}
