/** Fresh repositories for worktrees, each with a directory of its own for them. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { agentIdOf } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { LocatedWorktree, Snapshot } from '../../src/domain/worktree-port.ts';
import { GitWorktrees } from '../../src/harness/worktree/worktrees.ts';
import type { WorktreePorts } from '../../src/harness/worktree/worktrees.ts';
import { gitPath, GitRepository } from '../support/git-repository.ts';

export const root = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-worktrees-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

export const environment = { HOME: root, GIT_CONFIG_NOSYSTEM: '1', LANG: 'C.UTF-8' };
export const never = new AbortController().signal;
let count = 0;

export function worktreesIn(directory: string, more: Partial<WorktreePorts> = {}): GitWorktrees {
  return new GitWorktrees({ clock: createSystemClock(), environment, directory, ...more });
}

export function place(name = 'shop', files: Record<string, string | Uint8Array> = { 'prices.txt': 'one\ntwo\nthree\n', 'sub/deep/a.txt': 'a\n' }) {
  const home = fresh();
  const repository = GitRepository.make(join(home, name), files);
  const directory = join(home, 'state', 'worktrees');
  return { home, repository, directory, worktrees: worktreesIn(directory) };
}

/** A path that is nobody's yet. */
export function fresh(): string {
  count += 1;
  return join(root, String(count));
}

export function agentIn(cwd: string, more: Partial<Endpoint> = {}): Endpoint {
  return {
    agentId: agentIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'), address: '@agent@laptop#main', harness: 'command', cwd,
    argv: ['cat'], env: [], path: gitPath, permissions: 'ask', isolate: true, ...more,
  };
}

export const nameOf = (number = 1): string => `01j9z6m3t4v8q2x7k5b1c0d9e${number.toString(36)}`;

/** One character a byte. */
export async function patchOf(snapshot: Snapshot): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < snapshot.summary.patchBytes; ) {
    const piece = await snapshot.read(offset, 100_000);
    pieces.push(piece);
    offset += piece.length;
  }
  await snapshot.close();
  return Buffer.concat(pieces).toString('latin1');
}

export async function summaryOf(worktrees: GitWorktrees, made: LocatedWorktree): Promise<Snapshot['summary']> {
  const snapshot = await worktrees.snapshot(made);
  await snapshot.close();
  return snapshot.summary;
}
