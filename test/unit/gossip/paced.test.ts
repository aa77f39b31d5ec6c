import { expect, test } from 'vitest';
import type { Registrar, Stream, StreamHandler } from '../../../src/gossip/libp2p.ts';
import { byteRate, pacedRegistrar } from '../../../src/gossip/paced.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const chunkBytes = 32 * 1024;

/** What a stream of libp2p does, with a neighbour that sends whenever it may. */
class GreedyStream extends EventTarget {
  readStatus: 'readable' | 'paused' | 'closed' = 'readable';
  received = 0;

  flood(bytes: number): void {
    while (this.readStatus === 'readable' && this.received < bytes) {
      this.received += chunkBytes;
      this.dispatchEvent(Object.assign(new Event('message'), { data: new Uint8Array(chunkBytes) }));
    }
  }

  pause(): void {
    this.readStatus = 'paused';
  }

  resume(): void {
    this.readStatus = 'readable';
  }

  end(error?: Error): void {
    this.readStatus = 'closed';
    this.dispatchEvent(Object.assign(new Event('close'), { error }));
  }
}

async function paced(clock: FakeClock): Promise<{ stream: GreedyStream; chunks: AsyncIterator<Uint8Array> }> {
  let opened: StreamHandler | undefined;
  const registrar = { handle: (_protocol: string, handler: StreamHandler) => Promise.resolve(void (opened = handler)) } as unknown as Registrar;
  const stream = new GreedyStream();
  let given: Stream | undefined;
  await pacedRegistrar(registrar, clock).registrar.handle('/p', (each) => void (given = each));
  void opened?.(stream as unknown as Stream, {} as Parameters<StreamHandler>[1]);
  const chunks = (given as unknown as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  return { stream, chunks };
}

test('a neighbour that floods waits until what it sent is handled: no more than 96 KiB of it are held', async () => {
  const { stream, chunks } = await paced(new FakeClock());
  stream.flood(1e9);
  expect([stream.received, stream.readStatus]).toEqual([3 * chunkBytes, 'paused']);
  for (let count = 0; count < 3; count += 1) await chunks.next();
  expect(stream.readStatus).toBe('paused');
  const fourth = chunks.next();
  await Promise.resolve();
  expect(stream.readStatus).toBe('readable');
  stream.flood(1e9);
  expect((await fourth).value).toHaveLength(chunkBytes);
  expect(stream.received).toBe(6 * chunkBytes);
});

test('however fast it is handled, a neighbour gets no more than its share', async () => {
  const clock = new FakeClock();
  const { stream, chunks } = await paced(clock);
  let read = 0;
  let isStopped = false;
  const reading = (async () => {
    while (!isStopped) {
      const { value } = await chunks.next();
      read += value?.length ?? 0;
    }
  })();
  for (let seconds = 0; seconds < 10; seconds += 1) {
    for (let step = 0; step < 1000; step += 1) {
      stream.flood(1e9);
      await Promise.resolve();
    }
    await clock.advance(1000);
  }
  isStopped = true;
  stream.end();
  expect(read).toBeGreaterThan(byteRate.burst);
  expect(read).toBeLessThanOrEqual(byteRate.burst + 11 * byteRate.perSecond);
  await clock.advance(60_000);
  await reading;
});

test('what was sent before the end is read, and then the end is told', async () => {
  const { stream, chunks } = await paced(new FakeClock());
  stream.flood(chunkBytes);
  stream.end(new Error('reset'));
  expect((await chunks.next()).value).toHaveLength(chunkBytes);
  await expect(chunks.next()).rejects.toThrow('reset');
});
