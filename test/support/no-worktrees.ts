/** For brokers whose agents are not isolated. */
import type { Checkouts, Worktrees } from '../../src/domain/worktree-port.ts';

const never = (): never => {
  throw new Error('no agent of this test is isolated');
};

export const noWorktrees: Worktrees = {
  check: () => Promise.resolve({ available: true }),
  make: never, confirm: never, pathOf: never, directoryOf: never, isThere: never, isUnchanged: never, snapshot: never, remove: never,
  sweep: () => Promise.resolve([]),
};

export const noCheckouts: Checkouts = { of: () => Promise.resolve(undefined), gone: () => Promise.resolve(undefined) };
