/** The node's log: JSON lines on a file descriptor, one event a line. */
import { pino } from 'pino';
import type { Log } from '../domain/ports.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Writes synchronously, so that the last words of a process that ends are kept. */
export function createLog(fileDescriptor: number, level: LogLevel = 'info'): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['token', 'secret', 'task', 'output', 'env', '*.token', '*.secret', '*.task', '*.output', '*.env'], censor: '[redacted]' },
    },
    pino.destination({ fd: fileDescriptor, sync: true }),
  );
}

/** Says nothing: commands that start a node only to write through it. */
export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
