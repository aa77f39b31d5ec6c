// Compares proto with what others may already run: `main`, or, on main itself, the state before the last commit that
// touched proto. A commit that breaks on purpose says so the Conventional Commits way (`feat(proto)!: …`).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { read, run } from './run.ts';

const commit = (ref: string): string | undefined =>
  read("git", "rev-parse", "--verify", "--quiet", `${ref}^{commit}`);

const holdsProto = (ref: string): boolean => Boolean(read('git', 'ls-tree', '-r', '--name-only', ref, '--', 'proto'));

/** The commit to compare with, or undefined when history holds no earlier proto. */
function baseline(): string | undefined {
  const head = commit('HEAD');
  const mains = ['origin/main', 'main'].map(commit);
  const last = read('git', 'log', '-1', '--format=%H', '--', 'proto');
  const before = last ? commit(`${last}^`) : undefined;
  return [...mains.filter((main) => main !== head), before].find((ref) => ref !== undefined && holdsProto(ref));
}

/** Whether a commit since the baseline that touched proto is marked as breaking. */
function declared(base: string): boolean {
  const messages = read("git", "log", "--format=%B%x00", `${base}..HEAD`, "--", "proto") ?? "";
  return messages.split('\0').some((text) => /^\w+(\([^)]*\))?!:|^BREAKING[ -]CHANGE:/m.test(text.trim()));
}

function compare(base: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'beckon-proto-'));
  try {
    const archive = join(folder, 'proto.tar');
    const unpacked =
      run('git', 'archive', '--format=tar', '-o', archive, base, 'proto') === 0 &&
      run('tar', '-xf', archive, '-C', folder) === 0;
    return unpacked ? run('buf', 'breaking', 'proto', '--config', 'buf.yaml', '--against', join(folder, 'proto')) : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const base = baseline();
if (!base) {
  console.log('proto: no earlier version to compare with');
} else if (declared(base)) {
  console.log(`proto: a commit since ${base.slice(0, 10)} declares a breaking change`);
} else {
  process.exitCode = compare(base);
}
