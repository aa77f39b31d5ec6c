/** Durations as people write and read them: an integer and a unit. */
import { invalid } from './errors.ts';
import { quoted } from './text.ts';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof unitMs;

export const longestDurationMs = 365 * unitMs.d;
const form = 'a duration is a whole number with ms, s, m, h or d, such as 30s';

/** Milliseconds of `500ms`, `30s`, `5m`, `24h`, `7d`. @throws BrokerError `invalid` unless more than 0 and at most 365d */
export function parseDuration(text: string): number {
  const match = /^([0-9]+)(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw invalid(`${quoted(text)} is not a duration`, form);
  const ms = Number(match[1]) * unitMs[match[2] as Unit];
  if (ms <= 0) throw invalid(`${quoted(text)} is no time at all`, form);
  if (ms > longestDurationMs) throw invalid(`${quoted(text)} is too long: 365d at most`, form);
  return ms;
}

/** For people: the two largest units that count, such as `250ms`, `1.5s`, `2m 5s`, `1h`, `3d 4h`. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  if (ms < unitMs.s) return `${ms}ms`;
  if (ms < 10 * unitMs.s) return `${Math.floor(ms / 100) / 10}s`;
  const units = ['d', 'h', 'm', 's'] as const;
  const first = units.findIndex((unit) => ms >= unitMs[unit]);
  const [large, small] = [units[first] ?? 's', units[first + 1]];
  const count = Math.floor(ms / unitMs[large]);
  const left = small === undefined ? 0 : Math.floor((ms - count * unitMs[large]) / unitMs[small]);
  return left === 0 ? `${count}${large}` : `${count}${large} ${left}${small}`;
}
