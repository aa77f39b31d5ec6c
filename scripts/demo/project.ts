/** The git repository that the demo's agents work in. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Echo, prompt } from './narration.ts';

const files = {
  'greet.ts': `export function greeting(name: string): string {
  return \`Hello, \${name}!\`;
}
`,
  'greet.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as greet from './greet.ts';

test('greeting', () => {
  assert.equal(greet.greeting('Ada'), 'Hello, Ada!');
});
`,
  'package.json': `{ "name": "greetings", "type": "module", "private": true }
`,
};

/** Git without the repository, if any, that the demo was started from. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));

export class Project {
  readonly directory: string;
  readonly branch = 'feature-x';

  constructor(directory: string) {
    this.directory = directory;
  }

  /** With one commit on main, and the branch checked out. */
  create(): void {
    mkdirSync(this.directory);
    this.git('init', '-q');
    this.git('symbolic-ref', 'HEAD', 'refs/heads/main');
    this.#configure();
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.directory, name), content);
    this.git('add', '.');
    this.git('commit', '-q', '-m', 'A greeting');
    this.git('checkout', '-q', '-b', this.branch);
  }

  /** Another working copy, as another machine would have one. */
  cloneTo(directory: string): void {
    execFileSync('git', ['clone', '-q', '-b', this.branch, this.directory, directory], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** The newest commit of the branch. */
  head(): string {
    return this.git('rev-parse', this.branch);
  }

  /** The same, for the audience. */
  show(machine: string, ...args: readonly string[]): void {
    prompt(machine, `git ${args.join(' ')}`);
    const echo = new Echo('stdout');
    echo.add(this.git(...args));
    echo.end();
  }

  git(...args: readonly string[]): string {
    return execFileSync('git', args, { cwd: this.directory, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  }

  /** Commits need a name; hooks and signatures of this machine's owner are for the owner's own work. */
  #configure(): void {
    const known = ['user.name', 'user.email'].every((key) => this.#configured(key));
    if (!known) {
      this.git('config', 'user.name', 'Beckon demo');
      this.git('config', 'user.email', 'demo@beckon.invalid');
    }
    this.git('config', 'commit.gpgSign', 'false');
    this.git('config', 'core.hooksPath', '/dev/null');
  }

  #configured(key: string): boolean {
    try {
      return execFileSync('git', ['config', key], { cwd: this.directory, env, encoding: 'utf8' }).trim() !== '';
    } catch (error) {
      // 1: the key is not set.
      if (error instanceof Error && 'status' in error && error.status === 1) return false;
      throw error;
    }
  }
}
