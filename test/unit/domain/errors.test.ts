import { describe, expect, test } from 'vitest';
import { BrokerError, errorCodes, fromInfo, isErrorCode, toBrokerError } from '../../../src/domain/errors.ts';

describe('errors', () => {
  test('the codes are the twelve pinned ones in their order', () => {
    expect(errorCodes.join(' ')).toBe(
      'invalid not_found ambiguous denied unauthenticated conflict unavailable overload deadline cancelled incompatible internal',
    );
    expect(errorCodes.every(isErrorCode)).toBe(true);
    expect(isErrorCode('Invalid')).toBe(false);
  });

  test('what is shown or sent of an error never carries its cause or stack', () => {
    const error = new BrokerError('unavailable', 'no answer', { cause: new Error('secret /path') });
    expect(JSON.stringify(error.toInfo())).toBe('{"code":"unavailable","message":"no answer"}');
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each(errorCodes)('an error of code %s survives the way through its info', (code) => {
    const info = new BrokerError(code, 'message', {
      hint: 'hint',
      candidates: [{ address: '@a@b#c', state: 'alive', lastSeenMs: 5, why: 'near' }],
      detail: { column: '9' },
    }).toInfo();
    expect(fromInfo(info).toInfo()).toEqual(info);
    expect(fromInfo({ code, message: 'm' }).toInfo()).toEqual({ code, message: 'm' });
  });

  test('a code of a newer version becomes internal and is kept in the detail', () => {
    expect(fromInfo({ code: 'teapot', message: 'm' }).toInfo()).toEqual({ code: 'internal', message: 'm', detail: { code: 'teapot' } });
  });

  test('a BrokerError stays itself and anything else becomes internal without its text', () => {
    const mine = new BrokerError('denied', 'no');
    expect(toBrokerError(mine)).toBe(mine);
    for (const thrown of [new TypeError('/home/me/secret'), 'secret', undefined, null, 7]) {
      const error = toBrokerError(thrown);
      expect(error.code).toBe('internal');
      expect(JSON.stringify(error.toInfo())).not.toContain('secret');
      expect(error.cause).toBe(thrown);
    }
  });
});
