import { describe, expect, test } from 'vitest';
import { membersOf, ProcessGroup } from '../../../src/harness/process-group.ts';
import type { ProcessEntry } from '../../../src/harness/process-table.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const entry = (pid: number, parent: number, group: number, session: number): ProcessEntry => ({ pid, parent, group, session });

/** A machine on which only what a test says happens: processes, and what a signal to a group does to them. */
function machine(entries: readonly ProcessEntry[], dieOf: (each: ProcessEntry, signal: string) => boolean) {
  const clock = new FakeClock();
  const sent: string[] = [];
  const state = { entries: [...entries], failReads: 0 };
  const kill = (pid: number, signal: NodeJS.Signals): void => {
    sent.push(`${signal} ${pid} at ${clock.monotonic()}`);
    if (!state.entries.some((each) => each.group === -pid)) throw Object.assign(new Error('none'), { code: 'ESRCH' });
    state.entries = state.entries.filter((each) => each.group !== -pid || !dieOf(each, signal));
  };
  const readProcesses = async (): Promise<readonly ProcessEntry[]> => {
    if (state.failReads-- > 0) throw new Error('no descriptors left');
    return [...state.entries];
  };
  return { clock, sent, state, group: (leader: number) => new ProcessGroup(leader, { clock, readProcesses, kill }) };
}

const strangers = [entry(1, 0, 1, 1), entry(50, 1, 50, 50), entry(51, 50, 51, 50)];

describe('who belongs to an agent', () => {
  test('its session, groups made inside it, descendants that left it, and the sessions of those; nobody else', () => {
    const ours = [entry(100, 50, 100, 100), entry(101, 100, 100, 100), entry(102, 1, 102, 100), entry(103, 101, 103, 103), entry(104, 1, 103, 103)];
    const found = membersOf([...strangers, ...ours.toReversed()], new Set([100]));
    expect(found.map((each) => each.pid).toSorted((a, b) => a - b)).toEqual([100, 101, 102, 103, 104]);
  });
});

describe('ending an agent', () => {
  const family = [entry(100, 50, 100, 100), entry(101, 100, 100, 100), entry(102, 100, 102, 102)];

  test('TERM reaches every group, and the number says how many there were', async () => {
    const { group, sent, state } = machine([...strangers, ...family], (_each, signal) => signal === 'SIGTERM');
    expect(await group(100).end(5000)).toBe(3);
    expect(sent.filter((each) => each.startsWith('SIGTERM'))).toEqual(['SIGTERM -100 at 0', 'SIGTERM -102 at 0']);
    expect(sent.some((each) => each.startsWith('SIGKILL'))).toBe(false);
    expect(state.entries).toEqual(strangers);
  });

  test('what ignores TERM is killed when the grace is over, not before, even after its parents died', async () => {
    const { clock, group, sent, state } = machine([...strangers, ...family], (each, signal) => signal === 'SIGKILL' || (signal === 'SIGTERM' && each.pid !== 102));
    const ending = group(100).end(5000);
    await clock.advance(4999);
    expect(state.entries).toEqual([...strangers, entry(102, 100, 102, 102)]);
    await clock.advance(200);
    expect(await ending).toBe(3);
    expect(sent.filter((each) => each.startsWith('SIGKILL'))).toEqual(['SIGKILL -102 at 5000']);
    expect(state.entries).toEqual(strangers);
  });

  test('without grace KILL is the first word', async () => {
    const { clock, group, sent } = machine(family, () => true);
    const ending = group(100).end(0);
    await clock.advance(10);
    expect(await ending).toBe(3);
    expect(sent).toEqual(['SIGKILL -100 at 0', 'SIGKILL -102 at 0']);
  });

  test('a second call joins the first', async () => {
    const { group, sent } = machine(family, () => true);
    const one = group(100);
    expect(await Promise.all([one.end(5000), one.end(0)])).toEqual([3, 3]);
    expect(sent.some((each) => each.startsWith('SIGKILL'))).toBe(false);
  });

  test('a stranger that got the pid of a leader that was waited for lives', async () => {
    const { group, sent } = machine([...strangers, entry(100, 50, 100, 100), entry(101, 100, 100, 100)], () => true);
    const late = group(100);
    late.leaderReaped();
    expect(await late.end(5000)).toBe(0);
    expect(sent).toEqual([]);
  });

  test('leftovers of a leader that was waited for are still found by its session', async () => {
    const { group, state } = machine([...strangers, entry(101, 1, 100, 100)], () => true);
    const late = group(100);
    late.leaderReaped();
    expect(await late.end(5000)).toBe(1);
    expect(state.entries).toEqual(strangers);
  });

  test('what nobody can end does not hold up the node for ever', async () => {
    const { clock, group } = machine(family, () => false);
    const ending = group(100).end(1000);
    await clock.advance(12_000);
    expect(await ending).toBe(3);
    expect(clock.pending).toBe(0);
  });

  test('a table that can’t be read is an error, and the next call tries again', async () => {
    const { group, state } = machine(family, () => true);
    state.failReads = 1;
    const one = group(100);
    await expect(one.end(0)).rejects.toThrow('no descriptors');
    expect(await one.end(5000)).toBe(3);
  });
});
