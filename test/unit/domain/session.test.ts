import fc from 'fast-check';
import { expect, test } from 'vitest';
import { invocationIdOf, sessionOfInvocation } from '../../../src/domain/ids.ts';
import { flawWithoutSessions, sessionKeys } from '../../../src/domain/session.ts';

const id = sessionOfInvocation(invocationIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'));

test('an agent that starts anew each time has no session to continue or to name', () => {
  expect(flawWithoutSessions({ mode: 'new' }, 'command')).toBeUndefined();
  expect(flawWithoutSessions({ mode: 'continue' }, 'command')).toMatchObject({ code: 'invalid', message: expect.stringContaining('command') });
  expect(flawWithoutSessions({ mode: 'named', name: 'x' }, 'command')).toMatchObject({ code: 'invalid', hint: expect.stringContaining('--session') });
});

test.each([
  ['last', 'last'],
  ['LAST', 'last'],
  [id, [{ by: 'id', id }, { by: 'name', name: id }]],
  [id.toLowerCase(), [{ by: 'id', id }, { by: 'name', name: id.toLowerCase() }]],
  // As OpenCode calls its own.
  ['ses_5f3aQx', [{ by: 'name', name: 'ses_5f3aQx' }]],
  ['d9ef', [{ by: 'name', name: 'd9ef' }, { by: 'suffix', suffix: 'D9EF' }]],
  ['oil1', [{ by: 'name', name: 'oil1' }, { by: 'suffix', suffix: '0111' }]],
  ['9ef', [{ by: 'name', name: '9ef' }]],
  ['0198c1de-7f3a-7cc2-b7a1-d35d0e2c8c11', [{ by: 'name', name: '0198c1de-7f3a-7cc2-b7a1-d35d0e2c8c11' }]],
])('%s may stand for %j', (text, keys) => {
  expect(sessionKeys(text)).toEqual(keys);
});

test('whatever a person types is looked up as the agent’s own name, unless it is last', () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const keys = sessionKeys(text);
    if (keys !== 'last') expect(keys).toContainEqual({ by: 'name', name: text });
  }));
});
