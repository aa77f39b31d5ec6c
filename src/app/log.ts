/** The node's log: JSON lines on a file descriptor, one event a line. */
import { pino } from 'pino';
import type { Log } from '../domain/ports.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Of lines that a full disk did not take: they are written with the next that it takes; more are dropped. */
const mostWaitingBytes = 1024 * 1024;

/** Writes synchronously, so that the last words of a process that ends are kept. A disk that is full costs lines, never the node. */
export function createLog(fileDescriptor: number, level: LogLevel = 'info'): Log {
  const destination = pino.destination({ fd: fileDescriptor, sync: true, maxLength: mostWaitingBytes });
  // Without a listener the error would be thrown at whoever had something to say.
  destination.on('error', () => undefined);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['token', 'secret', 'task', 'output', 'env', '*.token', '*.secret', '*.task', '*.output', '*.env'], censor: '[redacted]' },
    },
    destination,
  );
}

/** Says nothing: commands that start a node only to write through it. */
export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
