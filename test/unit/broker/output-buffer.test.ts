import { describe, expect, it } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { OutputBuffer } from '../../../src/broker/output-buffer.ts';
import { flightIdOf } from '../../../src/domain/ids.ts';
import type { StoreWrites } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const flightId = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
type Append = Parameters<StoreWrites['appendOutput']>[0];

/** A store whose commits a test lets through one by one. */
function gatedStore(): { write: Pick<StoreWrites, 'appendOutput'>; commits: Append[]; settle: (error?: Error) => Promise<void> } {
  const commits: Append[] = [];
  const open: { resolve: () => void; reject: (error: Error) => void }[] = [];
  return {
    commits,
    write: {
      appendOutput: (input) => {
        commits.push(input);
        return new Promise((resolve, reject) => open.push({ resolve: () => resolve([]), reject }));
      },
    },
    settle: async (error) => {
      const next = open.shift();
      if (error === undefined) next?.resolve();
      else next?.reject(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function bufferOn(write: Pick<StoreWrites, 'appendOutput'>): { buffer: OutputBuffer; stored: () => number } {
  let stored = 0;
  const buffer = new OutputBuffer(flightId, { write, chronicler: new Chronicler(new FakeClock()), onStored: (count) => (stored = count) });
  return { buffer, stored: () => stored };
}

const bytes = (size: number, value = 0): Uint8Array => new Uint8Array(size).fill(value);

describe('OutputBuffer', () => {
  it('puts what arrives during a commit into the next one, in order', async () => {
    const store = gatedStore();
    const { buffer, stored } = bufferOn(store.write);
    void buffer.add('stdout', bytes(1, 1));
    await new Promise((resolve) => setImmediate(resolve));
    void buffer.add('stderr', bytes(1, 2));
    void buffer.addProgress({ kind: 'thought', text: 'hm' });
    void buffer.add('stdout', bytes(1, 3));
    expect(store.commits).toHaveLength(1);
    await store.settle();
    expect([store.commits.length, stored()]).toEqual([2, 1]);
    await store.settle();
    await buffer.flush();
    expect(store.commits.flatMap((each) => each.chunks.map((chunk) => ('bytes' in chunk ? chunk.bytes[0] : chunk.progress.kind)))).toEqual([1, 2, 'thought', 3]);
    expect(stored()).toBe(4);
  });

  it('leaves what comes with the end to the commit of the end, and nothing more than a commit takes', async () => {
    const store = gatedStore();
    const { buffer } = bufferOn(store.write);
    void buffer.add('stdout', bytes(1, 1));
    expect(await buffer.rest()).toMatchObject([{ bytes: bytes(1, 1) }]);
    expect(store.commits).toEqual([]);
    const large = bufferOn(store.write).buffer;
    const adds = Array.from({ length: 16 }, () => large.add('stdout', bytes(32 * 1024)));
    const rest = large.rest();
    await new Promise((resolve) => setImmediate(resolve));
    await store.settle();
    expect([store.commits.length, (await rest).length]).toEqual([1, 8]);
    await Promise.all(adds);
  });

  it('ends after what is being written when the end comes, and fails as that does', async () => {
    const store = gatedStore();
    const { buffer } = bufferOn(store.write);
    void buffer.add('stdout', bytes(1, 1));
    await new Promise((resolve) => setImmediate(resolve));
    void buffer.add('stdout', bytes(1, 2));
    const rest = buffer.rest();
    await store.settle();
    expect(await rest).toMatchObject([{ bytes: bytes(1, 2) }]);
    const failing = bufferOn(store.write).buffer;
    void failing.add('stdout', bytes(1));
    await new Promise((resolve) => setImmediate(resolve));
    const [lost] = await Promise.allSettled([failing.rest(), store.settle(new Error('disk full'))]);
    expect(lost).toMatchObject({ status: 'rejected', reason: { message: 'disk full' } });
  });

  it('lets the agent go on only when there is room', async () => {
    const store = gatedStore();
    const { buffer } = bufferOn(store.write);
    const adds = Array.from({ length: 40 }, () => buffer.add('stdout', bytes(32 * 1024)));
    let allAdded = false;
    void Promise.all(adds).then(() => {
      allAdded = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(allAdded).toBe(false);
    for (let i = 0; i < 3; i += 1) await store.settle();
    expect(allAdded).toBe(true);
    for (let i = 0; i < 3; i += 1) await store.settle();
    await buffer.flush();
    expect(store.commits.every((each) => each.chunks.reduce((sum, chunk) => sum + ('bytes' in chunk ? chunk.bytes.length : 0), 0) <= 288 * 1024)).toBe(true);
  });

  it('counts progress too: an agent that reports without end is held back', async () => {
    const store = gatedStore();
    const { buffer } = bufferOn(store.write);
    const adds = Array.from({ length: 10_000 }, () => buffer.addProgress({ kind: 'tool', call: '1', title: '', tool: '', state: 'running' }));
    let allAdded = false;
    void Promise.all(adds).then(() => {
      allAdded = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(allAdded).toBe(false);
    for (let i = 0; i < 3; i += 1) await store.settle();
    expect(allAdded).toBe(true);
  });

  it('fails every add and flush once the store has failed', async () => {
    const store = gatedStore();
    const { buffer } = bufferOn(store.write);
    await buffer.add('stdout', bytes(1));
    await new Promise((resolve) => setImmediate(resolve));
    await store.settle(new Error('disk full'));
    await expect(buffer.flush()).rejects.toThrow('disk full');
    await expect(buffer.add('stdout', bytes(1))).rejects.toThrow('disk full');
  });
});
