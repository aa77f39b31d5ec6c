import { expect, test } from 'vitest';
import type { Stream } from '../../../src/gossip/libp2p.ts';
import { updateSeldom } from '../../../src/gossip/window-updates.ts';

test('a sender gets more window when half of it is used up, not with every message, and the first at once', () => {
  const stream = {
    recvWindow: 1000,
    recvWindowCapacity: 1000,
    updates: 0,
    sendWindowUpdate() {
      this.updates += 1;
      this.recvWindowCapacity = this.recvWindow;
    },
  };
  updateSeldom(stream as unknown as Stream);
  const receive = (bytes: number): number => {
    stream.recvWindowCapacity -= bytes;
    stream.sendWindowUpdate();
    return stream.updates;
  };
  expect(receive(10)).toBe(1);
  expect([receive(200), receive(200), receive(99)]).toEqual([1, 1, 1]);
  expect(receive(1)).toBe(2);
  expect(stream.recvWindowCapacity).toBe(1000);
});

test('a stream without such a window is left as it is', () => {
  const stream = { readStatus: 'readable' };
  updateSeldom(stream as unknown as Stream);
  expect(stream).toEqual({ readStatus: 'readable' });
});
