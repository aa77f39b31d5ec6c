/**
 * How far the audit has come, in a small file apart from the database, so that rows which are missing at its end are missed. Sealed
 * with the key of the chain. Written after the commit: for a moment it may be behind, and what is behind it still has to lead to the end.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { KnownEnd } from '../broker/audit-check.ts';
import type { AuditHead } from '../domain/audit.ts';
import { readBy } from '../domain/read-by.ts';
import type { Log } from '../domain/ports.ts';
import { jsonOf, readIfThere, writeDurably } from './durable-file.ts';

/** Before all rows: its hash is the same for all of a node, and not kept here. */
const beginning: AuditHead = { number: 0, hash: '0'.repeat(64) };

/** Rows. A check begins at the last but one of the marks that are so far apart. */
const stretch = 25_000;

const headSchema = z.strictObject({ number: z.number().int().nonnegative(), hash: z.string().regex(/^[0-9a-f]{64}$/) });
const fileSchema = z.strictObject({ head: headSchema, marks: z.tuple([headSchema, headSchema]), seal: z.string() });

/** @returns undefined where there is none, or none that this node has sealed. @throws BrokerError `unavailable` */
export async function readAuditAnchor(path: string, key: Uint8Array): Promise<KnownEnd | undefined> {
  const content = await readIfThere(path);
  if (content === undefined) return undefined;
  const found = readBy(fileSchema, jsonOf(content));
  if (found?.success !== true) return undefined;
  const { seal, ...known } = found.data;
  const [shown, right] = [Buffer.from(seal), Buffer.from(sealOf(known, key))];
  return shown.length === right.length && timingSafeEqual(shown, right) ? known : undefined;
}

function sealOf({ head, marks }: KnownEnd, key: Uint8Array): string {
  const all = [head, ...marks].flatMap(({ number, hash }) => [number, hash]);
  return createHmac('sha256', key).update(JSON.stringify(['beckon-audit-end-v1', ...all])).digest('hex');
}

export interface AuditAnchorParts {
  readonly path: string;
  readonly key: Uint8Array;
  readonly log: Log;
}

export class AuditAnchor {
  readonly #parts: AuditAnchorParts;
  #known: KnownEnd | undefined;
  #writing: Promise<void> | undefined;
  #isBehind = false;

  private constructor(parts: AuditAnchorParts, known: KnownEnd | undefined) {
    this.#parts = parts;
    this.#known = known;
  }

  /** @throws BrokerError `unavailable` when it can't be read */
  static async open(parts: AuditAnchorParts): Promise<AuditAnchor> {
    return new AuditAnchor(parts, await readAuditAnchor(parts.path, parts.key));
  }

  get known(): KnownEnd | undefined {
    return this.#known;
  }

  /** The audit is that long now. Never waits, never throws. */
  heard(head: AuditHead): void {
    const [mark, before] = this.#known?.marks ?? [beginning, beginning];
    // A store that was put back is shorter than it was.
    const isShorter = head.number < mark.number;
    const marks: KnownEnd['marks'] = isShorter ? [beginning, beginning] : head.number - mark.number >= stretch ? [head, mark] : [mark, before];
    this.#known = { head, marks };
    this.#isBehind = true;
    this.#writing ??= this.#write();
  }

  /** What was heard is on the disk, or could not be written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { path, key, log } = this.#parts;
    while (this.#isBehind && this.#known !== undefined) {
      this.#isBehind = false;
      const known = this.#known;
      try {
        await writeDurably(path, `${JSON.stringify({ ...known, seal: sealOf(known, key) })}\n`);
      } catch (error) {
        log.warn({ err: error }, 'how far the audit has come could not be written down; it is with the next row');
      }
    }
    this.#writing = undefined;
  }
}
