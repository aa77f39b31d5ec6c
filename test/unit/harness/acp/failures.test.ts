import { RequestError } from '@agentclientprotocol/sdk';
import { describe, expect, test } from 'vitest';
import { deathOf, endOfTurn, refusalOf, wordsOf } from '../../../../src/harness/acp/failures.ts';
import { LastWords } from '../../../../src/harness/acp/last-words.ts';
import { anyAgent, presets } from '../../../../src/harness/acp/presets.ts';

describe('a failure', () => {
  const claude = presets[0] ?? anyAgent;

  test('has the agent’s own words, and what it put beside them once', () => {
    expect(wordsOf(new RequestError(-1, 'Internal error', { details: 'API  Error:\n401' }))).toBe('Internal error: API Error: 401');
    expect(wordsOf(new RequestError(-1, 'no key', 'no key'))).toBe('no key');
    expect(wordsOf(new RequestError(-1, 'no', { details: 7 }))).toBe('no');
    expect(wordsOf(new RequestError(-1, 'x'.repeat(9999))).length).toBe(500);
  });

  test('for want of a login says what to do', () => {
    expect(refusalOf(claude, RequestError.authRequired())).toMatchObject({ code: 'unavailable', message: 'Claude Code is not logged in; it says: Authentication required', hint: expect.stringContaining('ANTHROPIC_API_KEY') });
  });

  test('by death says how, and what was said last', () => {
    const words = new LastWords();
    expect(deathOf(claude, 'before it was ready', { signal: 'SIGSEGV' }, words).message).toBe('Claude Code ended before it was ready (SIGSEGV); it said nothing');
    words.add(Buffer.from('boom\n'));
    expect(deathOf(claude, 'before it was ready', undefined, words).message).toBe('Claude Code ended before it was ready (it closed its stdout); its last words: boom');
  });

  test('by the end of a turn that is none is the agent’s own', () => {
    expect(endOfTurn(claude, 'end_turn')).toEqual({ exitCode: 0 });
    for (const reason of ['max_tokens', 'max_turn_requests', 'refusal', 'cancelled', 'of a later version']) expect(endOfTurn(claude, reason)).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining(`(${reason})`) } });
  });
});
