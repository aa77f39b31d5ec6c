/** git as the person at the terminal has it, in the repository of a directory and in no other that a variable may name. */
import { spawn } from 'node:child_process';
import { unavailable } from '../domain/errors.ts';
import type { Git } from './host.ts';

const mostOutput = 1024 * 1024;

/** `git rev-parse --local-env-vars`. */
const local = /^GIT_(ALTERNATE_OBJECT_DIRECTORIES|CONFIG|CONFIG_PARAMETERS|CONFIG_COUNT|OBJECT_DIRECTORY|DIR|WORK_TREE|IMPLICIT_WORK_TREE|GRAFT_FILE|INDEX_FILE|NO_REPLACE_OBJECTS|REPLACE_REF_BASE|PREFIX|SHALLOW_FILE|COMMON_DIR|NAMESPACE)$/;

export function systemGit(environment: Readonly<Record<string, string | undefined>>): Git {
  const base = Object.fromEntries(Object.entries(environment).filter(([name]) => !local.test(name)));
  return (args, { cwd, env = {} }) =>
    new Promise((resolve, reject) => {
      const child = spawn('git', args, { cwd, env: { ...base, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (stdout = (stdout + chunk.toString()).slice(0, mostOutput)));
      child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-mostOutput)));
      child.once('error', (error) => reject(unavailable(`git can’t be started: ${error.message}`, 'install git')));
      child.once('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
    });
}
