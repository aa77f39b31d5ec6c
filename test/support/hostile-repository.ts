/** A repository as an enemy sends it in an archive: with settings and hooks of its own, which no clone would bring. */
import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GitRepository } from './git-repository.ts';

/** Its commit is not there, and its settings say which program is to fetch it. That one makes the file `proof`. */
export function fetchingBy(repository: GitRepository, proof: string): void {
  rmSync(join(repository.path, '.git', 'objects'), { recursive: true });
  mkdirSync(join(repository.path, '.git', 'objects', 'pack'), { recursive: true });
  settings(repository, [
    ...['[core]', 'repositoryformatversion = 1', `sshCommand = touch ${proof}; false`],
    ...['[extensions]', 'partialClone = origin', '[protocol "ext"]', 'allow = always'],
    ...['[remote "origin"]', 'url = ssh://nowhere/x', 'promisor = true', 'partialclonefilter = blob:none'],
  ]);
}

/** Hooks, a file system monitor, a filter and a pager, each of which makes the file `proof`. */
export function runningAtEveryTurn(repository: GitRepository, proof: string): void {
  const run = `touch ${proof}; cat`;
  settings(repository, [
    ...['[core]', `fsmonitor = ${run}`, `pager = ${run}`, `editor = ${run}`, `askPass = ${run}`, `alternateRefsCommand = ${run}`],
    ...['[filter "evil"]', `clean = ${run}`, `smudge = ${run}`, 'required = true', '[diff "evil"]', `textconv = ${run}`, `command = ${run}`, '[diff]', `external = ${run}`],
    ...['[alias]', `rev-parse = !${run}`, `symbolic-ref = !${run}`, `status = !${run}`],
  ]);
  for (const name of ['post-checkout', 'post-index-change', 'reference-transaction', 'pre-auto-gc', 'fsmonitor-watchman']) program(join(repository.path, '.git', 'hooks', name), `#!/bin/sh\n${run}\n`);
}

export function program(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function settings(repository: GitRepository, lines: readonly string[]): void {
  appendFileSync(join(repository.path, '.git', 'config'), `${lines.join('\n')}\n`);
}
