import { expect, test } from 'vitest';
import { ProgressLines } from '../../../src/cli/progress-lines.ts';
import type { StepState } from '../../../src/domain/progress.ts';

const tool = (call: string, title: string, state: StepState) => ({ kind: 'tool', call, title, tool: 'Edit', state }) as const;
const diff = (path: string, ...lines: readonly string[]) => ({ kind: 'diff', path, patch: `--- ${path}\n+++ ${path}\n@@ -1 +1 @@\n${lines.join('\n')}\n` }) as const;

test('a call has a line when it begins, and one when it is over', () => {
  const lines = new ProgressLines();
  expect(lines.of(tool('1', 'Edit a.ts', 'running'))).toEqual(['● Edit a.ts']);
  expect(lines.of(tool('1', 'Edit a.ts', 'running'))).toEqual([]);
  expect(lines.of(tool('1', 'Edit a.ts', 'done'))).toEqual(['● Edit a.ts … done']);
  expect(lines.of(tool('1', 'Edit a.ts', 'done'))).toEqual([]);
  expect(lines.of(tool('2', '', 'failed'))).toEqual(['● Edit … failed']);
});

test('a call that is only prepared has no line before its title says what it is about', () => {
  const lines = new ProgressLines();
  expect(lines.of(tool('1', 'Preparing file…', 'pending'))).toEqual([]);
  expect(lines.of(tool('1', 'Write a.ts', 'pending'))).toEqual(['● Write a.ts']);
  expect(lines.of(tool('1', 'Write a.ts', 'running'))).toEqual([]);
  expect(lines.of(tool('2', 'Read File', 'pending'))).toEqual([]);
  expect(lines.of(tool('2', 'Read a.ts', 'done'))).toEqual(['● Read a.ts … done']);
});

test('a change that is told again when it is made has one line, another to the same file its own', () => {
  const lines = new ProgressLines();
  expect(lines.of(diff('a.ts', '-old', '+new', '+newer'))).toEqual(['± a.ts  +2 -1']);
  expect(lines.of(diff('a.ts', ' context', '-old', '+new', '+newer'))).toEqual([]);
  expect(lines.of(diff('a.ts', '-new', '+new!'))).toEqual(['± a.ts  +1 -1']);
  expect(lines.of(diff('b.ts', '++++ a line of plus signs', '--- '))).toEqual(['± b.ts  +1 -1']);
});

test('what the last call wants to change can be put before people once, and not without end', () => {
  const lines = new ProgressLines();
  lines.of(tool('1', 'Edit a.ts', 'pending'));
  lines.of(diff('a.ts', '-old', '+new'));
  expect(lines.takeWanted()).toEqual(['-old', '+new']);
  expect(lines.takeWanted()).toEqual([]);
  lines.of(diff('a.ts', '-new', '+newer'));
  lines.of(tool('2', 'Run it', 'pending'));
  expect(lines.takeWanted(), 'the change of another call').toEqual([]);
  lines.of(diff('b.ts', ...Array.from({ length: 30 }, (_, line) => `+${line}`)));
  expect(lines.takeWanted().slice(-2)).toEqual(['+19', '… and 10 more lines']);
});

test('what an agent tells of its usage in several reports is put together; none is no line', () => {
  const lines = new ProgressLines();
  expect(lines.closing()).toBeUndefined();
  lines.of({ kind: 'usage', contextTokens: 50, contextSize: 200, cost: { amount: 0.0421, currency: 'USD' } });
  lines.of({ kind: 'usage', inputTokens: 1000, outputTokens: 30 });
  expect(lines.closing()).toBe('usage: 1,000 tokens in, 30 tokens out, context 25 % of 200, 0.0421 USD');
  const stopped = new ProgressLines();
  stopped.of({ kind: 'usage', inputTokens: 0, outputTokens: 0 });
  expect(stopped.closing()).toBeUndefined();
});
