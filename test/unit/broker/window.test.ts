import { describe, expect, it } from 'vitest';
import { Window } from '../../../src/broker/window.ts';

describe('Window', () => {
  it('makes the next one wait until something has left', async () => {
    const window = new Window<number>(2);
    window.add(1, 0);
    window.add(2, 0);
    let hasRoom = false;
    const room = window.room().then(() => {
      hasRoom = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasRoom).toBe(false);
    window.remove(3);
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasRoom).toBe(false);
    window.remove(1);
    await room;
    expect(window.has(1)).toBe(false);
    expect(window.has(2)).toBe(true);
  });

  it('lets all who wait go when it is closed', async () => {
    const window = new Window<number>(0);
    const waiting = [window.room(), window.room()];
    window.close();
    await Promise.all(waiting);
    await window.room();
  });
});
