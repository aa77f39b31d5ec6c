/** What a directory says of the project in it. */
import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { invalid } from '../domain/errors.ts';
import type { ProjectProbe } from '../domain/ports.ts';

const run = promisify(execFile);
const gitMs = 5000;

/** @param path where `git` is looked for. Of a directory that nobody has approved: git fetches nothing, and is none of the directory's own. */
export function createProjectProbe(path: string): ProjectProbe {
  const absolute = path.split(':').filter((each) => each.startsWith('/')).join(':');
  return {
    directory: async (given) => {
      try {
        const directory = await realpath(given);
        if ((await stat(directory)).isDirectory()) return directory;
      } catch {
        throw invalid(`there is no directory ${given}`, 'name one that exists: --cwd DIRECTORY');
      }
      throw invalid(`${given} is not a directory`, 'name one: --cwd DIRECTORY');
    },
    branch: async (directory) => {
      try {
        // symbolic-ref also names the branch of a repository without commits, and fails when HEAD is detached.
        const options = { timeout: gitMs, env: { PATH: absolute, LC_ALL: 'C', GIT_CEILING_DIRECTORIES: '', GIT_ALLOW_PROTOCOL: 'none', GIT_NO_LAZY_FETCH: '1' } };
        const { stdout } = await run('git', ['-C', directory, 'symbolic-ref', '--quiet', '--short', 'HEAD'], options);
        return stdout.trim() || undefined;
      } catch {
        // No git, no repository or a detached HEAD: all mean that there is no branch to name.
        return undefined;
      }
    },
  };
}
