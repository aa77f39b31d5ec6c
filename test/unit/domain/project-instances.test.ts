import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reconcile } from '../../../src/domain/project-instances.ts';
import type { KeptInstance, Reconciled, ReconcileInput } from '../../../src/domain/project-instances.ts';
import type { FoundWorktree } from '../../../src/domain/project-port.ts';

const main: FoundWorktree = { top: '/src/shop', branch: 'main', isMain: true };
const linked = (top: string, branch?: string): FoundWorktree => ({ top, isMain: false, ...(branch === undefined ? {} : { branch }) });
const kept = (address: string, top: string, more: Partial<KeptInstance> = {}): KeptInstance => ({ address, top, isBusy: false, ...more });
const input = (given: Partial<ReconcileInput>): ReconcileInput => ({ name: 'shop', node: 'laptop', worktrees: [main], leftOut: [], instances: [], takenBy: () => undefined, ...given });
const nothing = { keep: [], add: [], remove: [], later: [], refused: [], leftOut: [] };
const at = (workspace: string): string => `@shop@laptop#${workspace}`;

describe('the address of a worktree', () => {
  test('is its branch, and its directory where it is detached', () => {
    const worktrees = [linked('/wt/b'), linked('/wt/a b', 'fix/ä'), main];
    expect(reconcile(input({ worktrees }))).toEqual({
      ...nothing,
      add: [
        { address: at('main'), top: '/src/shop', isDefault: true },
        { address: at('fix/%C3%A4'), top: '/wt/a b', isDefault: false },
        { address: at('b'), top: '/wt/b', isDefault: false },
      ],
    });
  });

  test('of the second of two with one branch is its directory; of a third with that name, none', () => {
    const worktrees = [main, linked('/wt/x/main', 'main'), linked('/wt/y', 'main'), linked('/wt/z/y', 'main')];
    expect(reconcile(input({ worktrees }))).toMatchObject({
      add: [{ address: at('main'), top: '/src/shop' }, { address: at('y'), top: '/wt/y' }],
      refused: [{ top: '/wt/x/main', address: at('main'), why: expect.stringContaining('taken by other worktrees of the project') }, { top: '/wt/z/y' }],
    });
  });

  test('is the directory where the branch is too long for one', () => {
    expect(reconcile(input({ worktrees: [linked('/wt/long', 'x'.repeat(201))] })).add).toMatchObject([{ address: at('long') }]);
  });

  test('that somebody else has is refused, and no other taken instead', () => {
    const takenBy = (address: string): string | undefined => (address === at('main') ? 'it was added by hand' : undefined);
    expect(reconcile(input({ takenBy }))).toEqual({ ...nothing, refused: [{ top: '/src/shop', address: at('main'), why: `${at('main')} is taken: it was added by hand` }] });
  });

  test('is kept by who has it, whatever comes later', () => {
    const worktrees = [{ ...main, branch: 'x' }, linked('/wt/z', 'x')];
    expect(reconcile(input({ worktrees, instances: [kept(at('x'), '/wt/z')] }))).toMatchObject({ keep: [{ address: at('x'), top: '/wt/z' }], add: [{ address: at('shop'), top: '/src/shop' }] });
  });
});

describe('a worktree that is on another branch now', () => {
  const worktrees = [main, linked('/wt/a', 'new')];
  const instances = [kept(at('main'), '/src/shop'), kept(at('old'), '/wt/a')];

  test('moves: the old address is gone, with where it is now', () => {
    expect(reconcile(input({ worktrees, instances }))).toMatchObject({ remove: [{ address: at('old'), why: `its worktree is ${at('new')} now` }], add: [{ address: at('new'), top: '/wt/a' }] });
  });

  test('stays where it is for as long as something runs there or waits', () => {
    const busy = [instances[0] as KeptInstance, kept(at('old'), '/wt/a', { isBusy: true })];
    expect(reconcile(input({ worktrees, instances: busy }))).toMatchObject({ keep: [{ address: at('main') }, { address: at('old') }], later: [{ address: at('old'), to: at('new') }], remove: [], add: [] });
  });

  test('two that changed places change addresses', () => {
    const swapped = [linked('/wt/a', 'b'), linked('/wt/b', 'a')];
    const plan = reconcile(input({ worktrees: swapped, instances: [kept(at('a'), '/wt/a'), kept(at('b'), '/wt/b')] }));
    expect(plan.remove.map(({ address }) => address)).toEqual([at('a'), at('b')]);
    expect(plan.add).toMatchObject([{ address: at('b'), top: '/wt/a' }, { address: at('a'), top: '/wt/b' }]);
  });
});

test('a worktree that is gone takes its instance with it, for that reason; one that may come back leaves it', () => {
  const instances = [kept(at('gone'), '/wt/gone', { goneWhy: 'the git worktree was removed' }), kept(at('away'), '/mnt/away')];
  expect(reconcile(input({ instances }))).toMatchObject({ remove: [{ address: at('gone'), why: 'the git worktree was removed' }], add: [{ address: at('main') }] });
  // Its address stays its own meanwhile.
  const worktrees = [main, linked('/wt/new', 'away')];
  expect(reconcile(input({ worktrees, instances })).add).toMatchObject([{ address: at('main') }, { address: at('new'), top: '/wt/new' }]);
});

test('a worktree that a person took out gets none, and loses what it has', () => {
  expect(reconcile(input({ leftOut: ['/src/shop', '/wt/gone'] }))).toEqual({ ...nothing, leftOut: [{ top: '/src/shop', address: at('main') }] });
  expect(reconcile(input({ leftOut: ['/src/shop'], instances: [kept(at('main'), '/src/shop')] }))).toMatchObject({ remove: [{ address: at('main') }], keep: [] });
});

describe('the default', () => {
  const worktrees = [{ ...main, branch: 'work' }, linked('/wt/m', 'master'), linked('/wt/d', 'develop')];
  const defaults = (given: Partial<ReconcileInput>) => reconcile(input({ worktrees, ...given })).add.filter((each) => each.isDefault).map(({ address }) => address);

  test('is what the project says, else main or master, else the main checkout', () => {
    expect(defaults({ defaultWorkspace: 'develop' })).toEqual([at('develop')]);
    expect(defaults({})).toEqual([at('master')]);
    expect(defaults({ worktrees: worktrees.slice(0, 1) })).toEqual([at('work')]);
  });

  test('is none where what the project says is not checked out', () => {
    expect(defaults({ defaultWorkspace: 'release' })).toEqual([]);
  });
});

describe('of whatever is found and was there', () => {
  const branch = fc.option(fc.constantFrom('main', 'a', 'b', 'c/d'), { nil: undefined });
  const top = fc.constantFrom('/s/main', '/s/a', '/t/a', '/s/b', '/s/x');
  const worktrees = fc
    .uniqueArray(fc.record({ top, branch }), { selector: (each) => each.top })
    .map((all) => all.map(({ top: place, branch: on }, index): FoundWorktree => ({ top: place, isMain: index === 0, ...(on === undefined ? {} : { branch: on }) })));
  const address = fc.constantFrom(...['main', 'a', 'b', 'c/d', 'x', 'other'].map(at));
  const instances = fc
    .uniqueArray(fc.record({ address, top: fc.oneof(top, fc.constantFrom('/gone/1', '/gone/2')), isBusy: fc.boolean(), goneWhy: fc.option(fc.constant('gone'), { nil: undefined }) }), { selector: (each) => each.address })
    .map((all) => all.filter((each, index) => all.findIndex((other) => other.top === each.top) === index));
  const inputs = fc
    .record({ worktrees, instances, leftOut: fc.subarray(['/s/a', '/s/main']), taken: fc.subarray(['main', 'a', 'other'].map(at)), defaultWorkspace: fc.option(fc.constantFrom('a', 'main'), { nil: undefined }) })
    .map(({ worktrees: found, instances: all, leftOut, taken, defaultWorkspace }): ReconcileInput => {
      const there = new Set(found.map((each) => each.top));
      const known = all
        .filter((each) => !taken.includes(each.address))
        .map(({ goneWhy, isBusy, ...each }): KeptInstance => (there.has(each.top) ? { ...each, isBusy } : { ...each, isBusy: false, ...(goneWhy === undefined ? {} : { goneWhy }) }));
      return input({ worktrees: found, leftOut, instances: known, takenBy: (each) => (taken.includes(each) ? 'somebody has it' : undefined), ...(defaultWorkspace === undefined ? {} : { defaultWorkspace }) });
    });

  /** What is there afterwards. */
  function after({ instances: before }: ReconcileInput, { remove, add }: Reconciled): KeptInstance[] {
    const removed = new Set(remove.map((each) => each.address));
    return [...before.filter((each) => !removed.has(each.address)), ...add.map((each) => kept(each.address, each.top))];
  }

  test('each worktree has one instance or the reason why not, and no address is given twice or taken from anybody', () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const plan = reconcile(given);
        const now = after(given, plan);
        expect(new Set(now.map((each) => each.address)).size).toBe(now.length);
        expect(now.filter((each) => given.takenBy(each.address) !== undefined)).toEqual([]);
        for (const { top: place } of given.worktrees) {
          const own = now.filter((each) => each.top === place);
          const expected = given.leftOut.includes(place) ? 0 : 1;
          const isRefused = plan.refused.some((each) => each.top === place);
          expect(own.length === expected || (isRefused && own.length === 0)).toBe(true);
        }
        expect([...plan.keep, ...plan.add].filter((each) => each.isDefault).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 2000 },
    );
  });

  test('what is busy stays, unless a person took it out; what may come back stays', () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const plan = reconcile(given);
        const removed = new Set(plan.remove.map((each) => each.address));
        const there = new Set(given.worktrees.map((each) => each.top));
        for (const each of given.instances) {
          if (given.leftOut.includes(each.top)) continue;
          if (each.isBusy) expect(removed.has(each.address)).toBe(false);
          if (!there.has(each.top)) expect(removed.has(each.address)).toBe(each.goneWhy !== undefined);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('done again it changes nothing', () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const plan = reconcile(given);
        const again = reconcile({ ...given, instances: after(given, plan) });
        expect({ remove: again.remove, add: again.add }).toEqual({ remove: [], add: [] });
      }),
      { numRuns: 2000 },
    );
  });
});
