import { describe, expect, test } from 'vitest';
import { presenceLastsMs, Presences, restLastsMs } from '../../../src/domain/presence.ts';
import type { Presence } from '../../../src/domain/presence.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const desktop = nodeIdFor(2);
const fabric = '@fabric@desktop#main';
const said = (number: number, running: number, changes: Partial<Presence> = {}): Presence => ({
  ...{ nodeId: desktop, epoch: 5, number, running, queued: 0, agents: running === 0 ? [] : [{ address: fabric, running, queued: 0 }] },
  ...changes,
});

describe('what a node said of itself', () => {
  test('is shown with its age, and not at all when it is old', () => {
    const presences = new Presences();
    presences.add(said(1, 2), 1000.25);
    expect(presences.load(desktop, fabric, 1000.25)).toEqual({ running: 2, queued: 0, ageMs: 0 });
    expect(presences.load(desktop, fabric, 1000.25 + presenceLastsMs - 1)).toEqual({ running: 2, queued: 0, ageMs: presenceLastsMs - 1 });
    expect(presences.load(desktop, fabric, 1000.25 + presenceLastsMs)).toBeUndefined();
  });

  test('holds longer when it was that nothing runs or waits: what begins is told at once', () => {
    const presences = new Presences();
    presences.add(said(1, 0), 0);
    expect(presences.load(desktop, fabric, restLastsMs - 1)).toEqual({ running: 0, queued: 0, ageMs: restLastsMs - 1 });
    expect(presences.load(desktop, fabric, restLastsMs)).toBeUndefined();
  });

  test('means that an agent which it does not name is free, whatever the node is called now', () => {
    const presences = new Presences();
    presences.add(said(1, 2), 0);
    expect(presences.load(desktop, '@fabric@renamed#main', 0)).toMatchObject({ running: 2 });
    expect(presences.load(desktop, '@other@desktop#main', 0)).toEqual({ running: 0, queued: 0, ageMs: 0 });
    expect(presences.load(nodeIdFor(3), fabric, 0)).toBeUndefined();
  });

  test.each([
    { what: 'a greater number of the same epoch', next: said(2, 0), isNews: true },
    { what: 'the same number', next: said(1, 0), isNews: false },
    { what: 'a lower number', next: said(0, 0), isNews: false },
    { what: 'a later epoch, whatever its number', next: said(1, 0, { epoch: 6 }), isNews: true },
    { what: 'an earlier epoch, whatever its number', next: said(9, 0, { epoch: 4 }), isNews: false },
  ])('$what is news: $isNews', ({ next, isNews }) => {
    const presences = new Presences();
    presences.add(said(1, 2), 0);
    expect(presences.isNews(next, 10)).toBe(isNews);
  });

  test('is forgotten when its node goes away, and its last word counts once more when it is back', () => {
    const presences = new Presences();
    presences.add(said(7, 2), 0);
    presences.drop(desktop);
    expect(presences.load(desktop, fabric, 0)).toBeUndefined();
    expect(presences.isNews(said(7, 2), 0)).toBe(false);
    presences.mayRepeat(desktop);
    expect(presences.isNews(said(6, 2), 0)).toBe(false);
    expect(presences.isNews(said(7, 2), 0)).toBe(true);
  });

  test('is not heard more often than an honest node says it twice over, and is again after a while', () => {
    const presences = new Presences();
    let number = 0;
    const says = (atMs: number): boolean => {
      number += 1;
      if (!presences.isNews(said(number, 1), atMs)) return false;
      presences.add(said(number, 1), atMs);
      return true;
    };
    expect(Array.from({ length: 1000 }, () => says(0)).filter(Boolean)).toHaveLength(20);
    expect([says(9_999), says(10_000)]).toEqual([false, true]);
    const honest = Array.from({ length: 100 }, (_, second) => says(20_000 + second * 1000));
    expect(honest).not.toContain(false);
  });

  test('is not kept of one that is a member no longer', () => {
    const presences = new Presences();
    presences.add(said(7, 2), 0);
    presences.retain(() => false);
    expect(presences.isNews(said(1, 2), 0)).toBe(true);
    expect(presences.load(desktop, fabric, 0)).toBeUndefined();
  });
});
