/** The digest port on node:crypto. */
import { createHash } from 'node:crypto';
import type { Digest } from '../domain/ports.ts';

/** Text counts as its UTF-8; each part is preceded by its length in bytes, 8 bytes big-endian. */
export const systemDigest: Digest = (parts) => {
  const hash = createHash('sha256');
  const length = Buffer.alloc(8);
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return hash.digest('hex');
};
