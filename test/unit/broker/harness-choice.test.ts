import { expect, test } from 'vitest';
import { chosenHarness } from '../../../src/broker/harness-choice.ts';
import type { Fit, Harness } from '../../../src/domain/harness-port.ts';

const ready = (name: string, fit?: Fit) => ({ harness: { name } as Harness, fit });
const own = (mark: string): Fit => ({ mark, isItsOwn: true });
const shared: Fit = { mark: 'AGENTS.md', isItsOwn: false };

test('the agent whose own files the project has is taken, then one that reads what it has for any, then the only one', () => {
  expect(chosenHarness([ready('claude', own('CLAUDE.md')), ready('codex', shared), ready('gemini')], []).name).toBe('claude');
  expect(chosenHarness([ready('claude'), ready('codex', shared)], []).name).toBe('codex');
  expect(chosenHarness([ready('gemini')], ['codex: not installed']).name).toBe('gemini');
});

test('nothing is guessed among several', () => {
  expect(() => chosenHarness([ready('claude', own('.claude')), ready('gemini', own('GEMINI.md')), ready('codex', shared)], [])).toThrow('several agents would do here: claude (.claude), gemini (GEMINI.md)');
  expect(() => chosenHarness([ready('codex', shared), ready('opencode', shared)], [])).toThrow('codex (AGENTS.md), opencode (AGENTS.md)');
  expect(() => chosenHarness([ready('claude'), ready('codex')], [])).toThrow('several agents would do here: claude, codex');
});

test('when none is ready, it is said of each why', () => {
  expect(() => chosenHarness([], ['claude: not logged in', 'codex: not installed'])).toThrow('nothing says what to run (claude: not logged in; codex: not installed)');
});
