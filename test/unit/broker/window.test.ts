import { describe, expect, it } from 'vitest';
import { Window } from '../../../src/broker/window.ts';

const entry = (bytes = 0, addedAtMs = 0) => ({ bytes, addedAtMs });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Window', () => {
  it('makes the next one wait until something has left', async () => {
    const window = new Window<number>({ items: 2, bytes: 100 });
    window.add(1, entry());
    window.add(2, entry());
    let hasRoom = false;
    const room = window.room().then(() => {
      hasRoom = true;
    });
    await turn();
    expect(hasRoom).toBe(false);
    window.remove(3);
    await turn();
    expect(hasRoom).toBe(false);
    window.remove(1);
    await room;
    expect([window.has(1), window.has(2)]).toEqual([false, true]);
  });

  it('counts bytes too, lets one go over them, and gives them back once', async () => {
    const window = new Window<number>({ items: 10, bytes: 100 });
    window.add(1, entry(99));
    expect(window.hasRoom).toBe(true);
    window.add(2, entry(1000));
    expect(window.hasRoom).toBe(false);
    window.add(2, entry(1000));
    window.remove(2);
    window.remove(2);
    expect(window.hasRoom).toBe(true);
    window.add(3, entry(1));
    expect(window.hasRoom).toBe(false);
    const room = window.room();
    window.remove(1);
    await room;
  });

  it('tells what has been on the way for long', () => {
    const window = new Window<string>({ items: 10, bytes: 10 });
    window.add('old', entry(0, 5));
    window.add('new', entry(0, 6));
    expect(window.olderThan(5)).toEqual(['old']);
  });

  it('lets all who wait go when it is closed', async () => {
    const window = new Window<number>({ items: 0, bytes: 0 });
    const waiting = [window.room(), window.room()];
    window.close();
    await Promise.all(waiting);
    await window.room();
  });
});
