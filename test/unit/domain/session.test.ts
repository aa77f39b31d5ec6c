import { expect, test } from 'vitest';
import { flawWithoutSessions } from '../../../src/domain/session.ts';

test('an agent that starts anew each time has no session to continue or to name', () => {
  expect(flawWithoutSessions({ mode: 'new' }, 'command')).toBeUndefined();
  expect(flawWithoutSessions({ mode: 'continue' }, 'command')).toMatchObject({ code: 'invalid', message: expect.stringContaining('command') });
  expect(flawWithoutSessions({ mode: 'named', name: 'x' }, 'command')).toMatchObject({ code: 'invalid', hint: expect.stringContaining('--session') });
});
