/** Small texts with a form of their own, and text of others on its way to a terminal. */
import pc from 'picocolors';
import { showLogLine, readLogLine } from '../../../src/cli/log-line.ts';
import { checkSince, sinceMs } from '../../../src/cli/since.ts';
import { TerminalText } from '../../../src/cli/terminal-text.ts';
import { formatDuration, parseDuration } from '../../../src/domain/duration.ts';
import { decodeHlc, encodeHlc, HybridClock, isHlc, maxAheadMs } from '../../../src/domain/hlc.ts';
import { nearestNames } from '../../../src/domain/nearest.ts';
import { isUtf8, neutralise, quoted, splitUtf8 } from '../../../src/domain/text.ts';
import { formatTraceContext, parseTraceContext, readTraceContext, writeTraceContext } from '../../../src/domain/trace-context.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { readersOf } from './readers.ts';

const colours = pc.createColors(false);
const nowMs = 1_780_000_000_000;
// What drives a terminal: C0 but newline and tab, DEL, C1, and what turns the direction of text.
// eslint-disable-next-line no-control-regex
const driving = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const readers = readersOf({
  duration: (text) => {
    const ms = parseDuration(text);
    const shown = formatDuration(ms).split(' ').reduce((sum, part) => sum + Number.parseFloat(part) * parseDuration(`1${part.replace(/^[0-9.]+/, '')}`), 0);
    holds(shown <= ms && ms - shown < ms / 10, 'a duration is shown as what it is, to a tenth');
  },
  since: (text) => {
    const ms = sinceMs(checkSince(text), nowMs);
    holds(Number.isSafeInteger(Math.trunc(ms)) && ms <= 8.64e15, 'a time is a time');
  },
  trace: (text) => {
    const [traceparent = '', tracestate] = text.split('\n');
    const context = parseTraceContext({ traceparent, tracestate });
    if (context === undefined) return false;
    const headers = formatTraceContext(context);
    holds(headers !== undefined && /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/.test(headers.traceparent), 'a trace is passed on as the recommendation has it');
    holds((headers.tracestate ?? '').length <= 512 && !driving.test(headers.tracestate ?? ''), 'a trace state is short and plain');
    holds(JSON.stringify(parseTraceContext(headers)) === JSON.stringify(context), 'a trace is read as it is passed on');
    holds(JSON.stringify(readTraceContext(writeTraceContext(context))) === JSON.stringify(context), 'a trace is read from the store as it was written');
    return true;
  },
  hlc: (text) => {
    holds(encodeHlc(decodeHlc(text)) === text && isHlc(text), 'a clock value goes there and back');
    const clock = new HybridClock();
    if (!isHlc(text)) return;
    const { at, refused } = clock.observe(text, nowMs);
    holds(decodeHlc(at).ms <= nowMs + maxAheadMs + 1 && refused === decodeHlc(text).ms > nowMs + maxAheadMs, 'no clock is taken over that is five minutes ahead');
  },
  terminal: (_text, bytes) => {
    const cut = bytes[0] ?? 0;
    const pieces = [bytes.subarray(0, cut % (bytes.length + 1)), bytes.subarray(cut % (bytes.length + 1))];
    const shown = (all: readonly Uint8Array[]): string => {
      const terminal = new TerminalText();
      return all.map((piece) => terminal.push(piece)).join('') + terminal.end();
    };
    const whole = shown([bytes]);
    holds(!driving.test(whole), 'nothing that drives a terminal reaches it');
    holds(shown(pieces) === whole, 'what is shown does not depend on the pieces it came in');
  },
  plain: (text) => {
    holds(!driving.test(neutralise(text)) && neutralise(text).isWellFormed(), 'neutral text drives no terminal');
    holds(neutralise(neutralise(text)) === neutralise(text), 'neutral text stays as it is');
    holds(!/[\n\t]/.test(quoted(text)) && quoted(text).length < 1000, 'foreign text in a message is one short line');
  },
  cut: (_text, bytes) => {
    const { head, rest } = splitUtf8(bytes.subarray(1), bytes[0] ?? 0, (bytes[0] ?? 0) % 2 === 0);
    holds(Buffer.concat([head, rest]).equals(bytes.subarray(1)) && head.length <= Math.max(4, bytes[0] ?? 0), 'a cut loses nothing');
    if (isUtf8(bytes.subarray(1))) holds(isUtf8(head) && isUtf8(rest), 'a cut breaks no character');
  },
  near: (text) => holds(nearestNames(text, ['fabric', 'review', 'laptop']).length <= 5, 'few names are proposed'),
  log: (text) => {
    const line = readLogLine(text);
    if (line === undefined) return false;
    const shown = showLogLine(line, colours);
    holds(!driving.test(shown) && !shown.includes('\n'), 'a line of the log is one line, and drives no terminal');
    return true;
  },
});

export const texts: Boundary = {
  name: 'texts',
  what: 'durations, --since, traceparent, clock values, text for terminals, lines of the log',
  seeds: () => ({
    'a duration': readers.input('duration', '24h'),
    'a since': readers.input('since', '2026-03-01T14:00:00.5+02:00'),
    'a traceparent': readers.input('trace', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nrojo=00f067aa0ba902b7,congo=t61rcWkgMzE'),
    'a clock value': readers.input('hlc', '019e6d4e1c00-0003'),
    'a terminal’s title': readers.input('terminal', '\u001b]0;title\u0007 é\r\nok\r'),
    'plain text': readers.input('plain', 'a\u202eb\u009bc\ud83d'),
    'text to cut': readers.input('cut', '\u0005aé😀日本'),
    'a near name': readers.input('near', 'fabrik'),
    'a line of the log': readers.input('log', '{"type":"log","level":"warn","at":"2026-03-01T14:05:09.000Z","msg":"what happened","peer":"desktop","err":{"type":"BrokerError","code":"unavailable","message":"no","cause":{"message":"x","at":["store/a.ts:1"]}}}'),
  }),
  words: ['500ms', '30s', '5m', '24h', '365d', 'T', 'Z', '+14:00', '2026-02-30', '00-', '-01', '=', ',', '\r', '\u001b[', '\u009b', '\u2028', '\u200e', '"err":{', '"cause":', '"at":[', '"level":"info"'],
  open: () => ({ run: (input) => readers.run(input) }),
};
