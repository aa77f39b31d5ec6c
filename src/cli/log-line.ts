/** A line of the log for people, and which lines are wanted. */
import { logLevels } from '../domain/log-fields.ts';
import type { LogLevel } from '../domain/log-fields.ts';
import { neutralise } from '../domain/text.ts';
import type { Colours } from './output.ts';
import { localTime } from './output.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly at: string;
  readonly msg: string;
  /** All else that it has. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Undefined for what is no line of the log: one that a crash or a full disk cut off. */
export function readLogLine(text: string): LogLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { level, at, msg, type: _type, ...fields } = value as Record<string, unknown>;
  if (!isLevel(level) || typeof at !== 'string' || typeof msg !== 'string') return undefined;
  return { level, at, msg, fields };
}

export function isAtLeast(line: LogLine, least: LogLevel): boolean {
  return logLevels.indexOf(line.level) >= logLevels.indexOf(least);
}

function isLevel(value: unknown): value is LogLevel {
  return (logLevels as readonly unknown[]).includes(value);
}

/** `2026-03-01 14:05:09 warn  what happened  peer=desktop`, without line end; harmless whatever is in it. Ids that others stand for are left to `--json`. */
export function showLogLine({ level, at, msg, fields }: LogLine, colours: Colours): string {
  const details = Object.entries(fields)
    .filter(([name]) => name !== 'nodeId' && !(name === 'peerId' && 'peer' in fields) && !(name === 'invocationId' && 'flightId' in fields))
    .map(([name, value]) => `${oneLine(name)}=${shown(name, value)}`);
  const atMs = Date.parse(at);
  const time = Number.isNaN(atMs) ? oneLine(at) : localTime(atMs);
  return `${colours.dim(time)} ${paint(level, colours)} ${oneLine(msg)}${details.length === 0 ? '' : `  ${colours.dim(details.join(' '))}`}`;
}

function paint(level: LogLevel, { red, yellow, cyan, dim }: Colours): string {
  const by = { error: red, warn: yellow, info: cyan, debug: dim };
  return by[level](level.padEnd(5));
}

function shown(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : name === 'err' ? errorWords(value) : Array.isArray(value) ? value.join(',') : JSON.stringify(value);
  return oneLine(/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text));
}

/** `unavailable: what is so ← SqliteError SQLITE_FULL at write (store/group-commit.ts:60)`. */
function errorWords(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { type, code, message, syscall, path, at, cause } = value as Record<string, unknown>;
  const [frame] = Array.isArray(at) ? (at as unknown[]) : [];
  const parts = [type, code, syscall, path].filter((each) => typeof each === 'string' || typeof each === 'number').join(' ');
  const where = typeof frame === 'string' ? ` at ${frame}` : '';
  return `${parts}${typeof message === 'string' ? `: ${message}` : ''}${where}${cause === undefined ? '' : ` ← ${errorWords(cause)}`}`;
}

function oneLine(text: string): string {
  return neutralise(text).replaceAll(/[\n\t]/g, ' ');
}
