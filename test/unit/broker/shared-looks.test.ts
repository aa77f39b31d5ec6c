import { expect, test } from 'vitest';
import type { InvokeInput } from '../../../src/broker/api.ts';
import { SharedLooks, lookMs } from '../../../src/broker/shared-looks.ts';
import type { Looked } from '../../../src/broker/shared-looks.ts';
import { notFound } from '../../../src/domain/errors.ts';

const selector = { address: 'fabric' } as InvokeInput['selector'];
const caller = { id: 'uid:501' };
const asked = (changes: Partial<InvokeInput> = {}): InvokeInput => ({ caller, selector, session: { mode: 'new' }, noHold: false, ...changes }) as InvokeInput;

function looks({ isHere = true, fails = false } = {}) {
  const state = { nowMs: 0, count: 0 };
  const look = async (): Promise<Looked> => {
    state.count += 1;
    const address = `${state.count}`;
    await Promise.resolve();
    if (fails) throw notFound('no such agent');
    return { target: { address } as never, link: undefined };
  };
  const shared = new SharedLooks({ look, clock: { monotonic: () => state.nowMs }, isHere: () => isHere });
  return { state, of: (input = asked()) => shared.of(input).then(({ target }) => target.address, (error: { code: string }) => error.code) };
}

test('what is asked at once in the same way is looked at once', async () => {
  const { state, of } = looks();
  expect(await Promise.all([of(), of(), of()])).toEqual(['1', '1', '1']);
  expect(state.count).toBe(1);
});

test.each<[string, Partial<InvokeInput>]>([
  ['another selector, though it says the same', { selector: { address: 'fabric' } as never }],
  ['another caller', { caller: { id: 'uid:501' } }],
  ['a session to go on with', { session: { mode: 'continue' } }],
  ['--no-hold', { noHold: true }],
])('%s is looked at by itself', async (_what, changes) => {
  const { of } = looks();
  expect(new Set(await Promise.all([of(), of(asked(changes)), of(), of(asked(changes))])).size).toBe(2);
});

test('sessions of different names are looked at each', async () => {
  const { of } = looks();
  const named = (name: string): InvokeInput => asked({ session: { mode: 'named', name } });
  expect(await Promise.all([of(named('a')), of(named('b')), of(named('a'))])).toEqual(['1', '2', '1']);
});

test('an agent of this node is not looked at again for a moment, and then it is', async () => {
  const { state, of } = looks();
  await of();
  state.nowMs = lookMs - 1;
  expect(await of()).toBe('1');
  state.nowMs = lookMs;
  expect(await of()).toBe('2');
});

test('one of another node is looked at each time, and one that could not be found is, too', async () => {
  for (const how of [{ isHere: false }, { fails: true }]) {
    const { state, of } = looks(how);
    await of();
    await of();
    expect(state.count).toBe(2);
  }
});
