/** The digest port on node:crypto. */
import { createHash, hash } from 'node:crypto';
import type { Digest } from '../domain/ports.ts';

/** At once, up to so many bytes; beyond, piece by piece and without a copy. */
const mostAtOnce = 64 * 1024;

/** Text counts as its UTF-8; each part is preceded by its length in bytes, 8 bytes big-endian. */
export const systemDigest: Digest = (parts) => {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    const length = Buffer.alloc(8);
    length.writeUInt32BE(bytes.length, 4);
    pieces.push(length, bytes);
    size += 8 + bytes.length;
  }
  if (size <= mostAtOnce) return hash('sha256', Buffer.concat(pieces, size), 'hex');
  const digest = createHash('sha256');
  for (const each of pieces) digest.update(each);
  return digest.digest('hex');
};
