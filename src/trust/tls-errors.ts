/** OpenSSL's words, by their codes, for the person who reads the log. What is not known here is shown by its code. */

const handshakeErrors: Readonly<Record<string, string>> = {
  ECONNRESET: 'closed before the TLS handshake ended',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the TLS handshake took too long',
  ERR_SSL_HTTP_REQUEST: 'plain HTTP, not TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'not TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'TLS older than 1.3',
  ERR_SSL_BAD_SIGNATURE: 'it does not hold the key of its certificate',
};

const verifyErrors: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_SIGNATURE_FAILURE: 'the certificate was not signed by this mesh',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is not of this mesh',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is not of this mesh',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is not of this mesh',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is of another mesh',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself',
  INVALID_PURPOSE: 'the certificate is not made for this',
};

function codeOf(error: unknown): string {
  if (typeof error === 'string') return error;
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

export function describeTlsError(error: unknown): string {
  const code = codeOf(error);
  return handshakeErrors[code] ?? `no TLS 1.3 handshake (${code})`;
}

/** `authorizationError` of node:tls: an error or its code, whatever its types say. */
export function describeVerifyError(error: unknown): string {
  const code = codeOf(error);
  return verifyErrors[code] ?? `the certificate does not verify (${code})`;
}

/** The same for the side that dials; undefined when the error is not about the other's certificate. */
export function describeServerRefused(error: unknown): string | undefined {
  return verifyErrors[codeOf(error)];
}
