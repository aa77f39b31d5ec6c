import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoted } from '../../../src/domain/text.ts';
import { toldWhy } from '../../../src/domain/told-why.ts';

test.each([
  ['claude is not logged in: run claude once', 'claude is not logged in: run claude once'],
  ['Gemini CLI is not installed: no gemini in PATH (as it was when the agent was added): npm install -g gemini', 'Gemini CLI is not installed: no gemini in PATH (as it was when the agent was added): npm install -g gemini'],
  ['the agent’s directory "/home/ada/merger plans" does not exist', 'the agent’s directory … does not exist'],
  ['no such command: "/home/ada/bin/x\\"y"', 'no such command: …'],
  ['no such command: "secret-tool" (looked in PATH as it was when the agent was added)', 'no such command: … (looked in PATH as it was when the agent was added)'],
  ['its directory "/a" is gone: the git worktree was moved to "/b"', 'its directory … is gone: the git worktree was moved to …'],
  ["an isolated agent needs a git repository around \"/srv\": fatal: detected dubious ownership in repository at '/srv'", 'an isolated agent needs a git repository around …: fatal: detected dubious ownership in repository at …'],
  ['git says: cannot chdir to /srv', 'it can’t run there now; on its own node, beckon agent show says why'],
  ['git config --global --add safe.directory ~/plans', 'it can’t run there now; on its own node, beckon agent show says why'],
])('what the mesh is told of %j', (why, told) => {
  expect(toldWhy(why)).toBe(told);
});

test('no directory gets out, however it is called', () => {
  const name = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }).map((each) => `merger${each.replaceAll('/', '')}`);
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
      const path = `/${names.join('/')}`;
      expect(toldWhy(`the agent’s directory ${quoted(path, 200)} does not exist`)).not.toContain('merger');
      expect(toldWhy(`fatal: not a git repository: ${path}`)).not.toContain('merger');
    }),
  );
});
