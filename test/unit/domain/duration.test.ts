import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, longestDurationMs, parseDuration } from '../../../src/domain/duration.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { outcome } from './outcome.ts';

describe('a duration', () => {
  test.each([['1ms', 1], ['500ms', 500], ['30s', 30_000], ['5m', 300_000], ['24h', 86_400_000], ['7d', 604_800_000], ['365d', longestDurationMs], ['007s', 7000]])(
    '%s is %d ms',
    (text, ms) => {
      expect(parseDuration(text)).toBe(ms);
    },
  );

  test.each(['', 's', '30', '30 s', ' 30s', '30s\n', '-1s', '+1s', '1.5h', '1e3s', '30S', '1w', '1h30m', '٣s', '0s', '366d', '8761h', `${'9'.repeat(400)}s`])(
    '%j is refused and the form is told',
    (text) => {
      expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'invalid', hint: expect.stringContaining('such as 30s') }));
    },
  );

  test('no text gives anything but whole milliseconds within the bounds, or invalid', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,15}(ms|s|m|h|d)$/)), (text) => {
        const ms = outcome(() => parseDuration(text));
        expect(ms instanceof BrokerError ? ms.code === 'invalid' : Number.isInteger(ms) && ms > 0 && ms <= longestDurationMs).toBe(true);
      }),
    );
  });

  test.each([[0, '0ms'], [250, '250ms'], [999, '999ms'], [1000, '1s'], [1500, '1.5s'], [9999, '9.9s'], [30_000, '30s'], [59_999, '59s'], [60_000, '1m'], [125_000, '2m 5s'],
    [3_600_000, '1h'], [3_660_000, '1h 1m'], [3_601_000, '1h'], [86_400_000, '1d'], [100 * 3_600_000, '4d 4h'], [-5, '0ms']])(
    '%d ms reads %s',
    (ms, text) => {
      expect(formatDuration(ms)).toBe(text);
    },
  );
});
