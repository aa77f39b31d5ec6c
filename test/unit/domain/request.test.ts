import { describe, expect, test } from 'vitest';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { checkReply, defaultRequestMs, flawOfReply, isSameReply, longestChoice, longestPrompt, longestReply, longestRequestMs, mostChoices, trimmed } from '../../../src/domain/request.ts';
import type { Asking, Reply } from '../../../src/domain/request.ts';

const open: Asking = { state: 'waiting', isCancelling: false, request: 'req_1', reason: 'approval' };
const yes: Reply = { kind: 'approved' };
const words: Reply = { kind: 'text', text: 'x' };

describe('a reply', () => {
  test('fits the request that is open, and its kind', () => {
    expect(flawOfReply(open, 'req_1', yes)).toBeUndefined();
    expect(flawOfReply(open, 'req_1', { kind: 'denied' })).toBeUndefined();
    expect(flawOfReply({ ...open, reason: 'input' }, 'req_1', words)).toBeUndefined();
  });

  test.each<[string, Asking, string, Reply, RegExp]>([
    ['another request', open, 'req_0', yes, /does not wait for req_0 any more, but for req_1/],
    ['nothing open', { ...open, state: 'running', request: undefined, reason: undefined }, 'req_1', yes, /waits for nothing/],
    ['a cancel under way', { ...open, isCancelling: true }, 'req_1', yes, /being cancelled/],
    ['text to an approval', open, 'req_1', words, /an approval, not for text/],
    ['approval of a question', { ...open, reason: 'input' }, 'req_1', yes, /text, not for an approval/],
  ])('is a conflict with %s', (_what, asking, request, reply, message) => {
    expect(flawOfReply(asking, request, reply)).toMatchObject({ code: 'conflict', message: expect.stringMatching(message) });
  });

  test('to a flight that has ended is a conflict that names its state', () => {
    for (const state of flightStates.filter(isTerminal)) expect(flawOfReply({ ...open, state }, 'req_1', yes)?.message).toContain(state);
  });

  test('is bounded', () => {
    expect(() => checkReply({ kind: 'text', text: 'x'.repeat(longestReply) })).not.toThrow();
    expect(() => checkReply({ kind: 'text', text: 'x'.repeat(longestReply + 1) })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test('is the same only with the same words', () => {
    expect(isSameReply(words, { kind: 'text', text: 'x' })).toBe(true);
    expect(isSameReply(words, { kind: 'text', text: 'y' })).toBe(false);
    expect(isSameReply(yes, { kind: 'denied' })).toBe(false);
  });
});

test('a request is put to people bounded, and for 10 minutes unless its agent says otherwise', () => {
  expect(defaultRequestMs).toBe(600_000);
  expect(trimmed({ reason: 'input', prompt: '', choices: [] }, 5000).timeoutMs).toBe(5000);
  expect(trimmed({ reason: 'input', prompt: '', choices: [], timeoutMs: 7 }, 5000).timeoutMs).toBe(7);
  const ask = trimmed({ reason: 'input', prompt: 'p'.repeat(longestPrompt + 5), choices: Array.from({ length: mostChoices + 5 }, () => 'c'.repeat(longestChoice + 5)) });
  expect([ask.prompt.length, ask.choices.length, ask.choices[0]?.length, ask.timeoutMs]).toEqual([longestPrompt, mostChoices, longestChoice, defaultRequestMs]);
  expect(trimmed({ reason: 'input', prompt: '', choices: [], timeoutMs: Number.MAX_VALUE }).timeoutMs).toBe(longestRequestMs);
});
