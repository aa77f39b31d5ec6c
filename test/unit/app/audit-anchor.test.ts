/** What is written down of the audit's end apart from the database. */
import { readFileSync, statSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AuditAnchor, readAuditAnchor } from '../../../src/app/audit-anchor.ts';
import { silentLog } from '../../support/temp-store.ts';
import { scratchDirectory } from '../store/scratch.ts';

const key = new Uint8Array([1, 2, 3]);
const head = (number: number) => ({ number, hash: number.toString(16).padStart(64, '0') });

async function written(...numbers: readonly number[]) {
  const path = join(scratchDirectory(), 'beckon.audit');
  const anchor = await AuditAnchor.open({ path, key, log: silentLog });
  for (const number of numbers) anchor.heard(head(number));
  await anchor.settled();
  return { path, anchor };
}

describe('the end of the audit', () => {
  test('is read back as it was heard last, by the same node', async () => {
    const { path } = await written(0, 1, 2, 3);
    expect((await readAuditAnchor(path, key))?.head).toEqual(head(3));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await readAuditAnchor(path, new Uint8Array([9]))).toBeUndefined();
  });

  test.each([
    ['another number', (text: string) => text.replace('"number":3', '"number":2')],
    ['another hash', (text: string) => text.replace('0003"', '0002"')],
    ['another seal', (text: string) => text.replace(/"seal":"./, '"seal":"x')],
    ['half of it', (text: string) => text.slice(0, 40)],
    ['nothing', () => ''],
    ['something else', () => '{"head":1}'],
  ])('with %s is not what the node wrote', async (_what, change) => {
    const { path } = await written(3);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, change(text));
    expect(change(text)).not.toBe(text);
    expect(await readAuditAnchor(path, key)).toBeUndefined();
  });

  test('is not known where there is no file', async () => {
    const { path } = await written(3);
    rmSync(path);
    expect(await readAuditAnchor(path, key)).toBeUndefined();
  });

  test('comes with marks, so that a check begins some tens of thousands of rows before it', async () => {
    const { anchor } = await written(...Array.from({ length: 1200 }, (_, index) => index * 100));
    const { marks: [mark, before] } = anchor.known ?? { marks: [head(0), head(0)] };
    expect([mark.number, before.number]).toEqual([100_000, 75_000]);
    expect(before).toEqual(head(75_000));
  });

  test('goes back with a store that was put back, and trusts nothing before it', async () => {
    const { path, anchor } = await written(30_000, 60_000, 90_000);
    anchor.heard(head(40_000));
    await anchor.settled();
    expect(await readAuditAnchor(path, key)).toMatchObject({ head: head(40_000), marks: [{ number: 0 }, { number: 0 }] });
  });
});
