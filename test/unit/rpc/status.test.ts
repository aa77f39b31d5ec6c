import { Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BrokerError, errorCodes, fromInfo } from '../../../src/domain/errors.ts';
import { errorTrailer, fromStatus, toStatus } from '../../../src/rpc/status.ts';
import { errorInfo } from './samples.ts';

describe('an error over gRPC', () => {
  test('arrives as it was thrown, without its cause', () => {
    fc.assert(
      fc.property(errorInfo, (info) => {
        expect(fromStatus(toStatus(new BrokerError(info.code, info.message, { ...fromInfo(info), cause: new Error('secret') }))).toInfo()).toEqual(info);
      }),
    );
  });

  test('has a status of its own for every code, and finds the code back from it alone', () => {
    const statuses = errorCodes.map((code) => toStatus(new BrokerError(code, 'x')).code);
    expect(new Set(statuses).size).toBe(errorCodes.length);
    for (const code of errorCodes) {
      const { code: number } = toStatus(new BrokerError(code, 'x'));
      expect(fromStatus({ code: number, details: 'x', metadata: new Metadata() }).code).toBe(code);
    }
  });

  test('that is too long for trailers is cut, and keeps code and message', () => {
    const candidates = Array.from({ length: 500 }, (_, index) => ({ address: `@agent-${index}@laptop#main`, why: 'because' }));
    const thrown = toStatus(new BrokerError('ambiguous', 'm'.repeat(5000), { candidates, detail: { big: 'x'.repeat(9000) } }));
    expect((thrown.metadata.get(errorTrailer)[0] as Buffer).length).toBeLessThanOrEqual(6 * 1024);
    const arrived = fromStatus(thrown);
    expect(arrived.code).toBe('ambiguous');
    expect(arrived.candidates?.[0]).toEqual(candidates[0]);
    expect(arrived.message.startsWith('mmm')).toBe(true);
  });

  test('of unknown origin tells nothing of itself', () => {
    const { code, details } = toStatus(new Error('/home/ann/secret'));
    expect(code).toBe(status.INTERNAL);
    expect(details).not.toContain('secret');
  });

  test('with a trailer that is not ours is read from its status', () => {
    const metadata = new Metadata();
    metadata.set(errorTrailer, Buffer.from([0xff, 0xff, 0xff]));
    expect(fromStatus({ code: status.UNAVAILABLE, details: 'gone', metadata })).toMatchObject({ code: 'unavailable', message: 'gone' });
  });
});
