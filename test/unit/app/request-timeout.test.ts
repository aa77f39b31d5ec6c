import { expect, test } from 'vitest';
import { requestTimeout } from '../../../src/app/request-timeout.ts';

test('how long requests wait is what the environment says, if it says', () => {
  expect(requestTimeout({})).toEqual({});
  expect(requestTimeout({ BECKON_REQUEST_TIMEOUT: '' })).toEqual({});
  expect(requestTimeout({ BECKON_REQUEST_TIMEOUT: '30m' })).toEqual({ requestMs: 1_800_000 });
});

test('a bad value keeps the node from starting, and names the variable', () => {
  expect(() => requestTimeout({ BECKON_REQUEST_TIMEOUT: 'soon' })).toThrow(/^BECKON_REQUEST_TIMEOUT: .*soon/);
});
