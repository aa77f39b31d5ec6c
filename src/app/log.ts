/** The node's log: an event is a line of JSON, with the fields that the schema knows and no others. */
import { pino } from 'pino';
import type { NodeId } from '../domain/ids.ts';
import type { LogLevel } from '../domain/log-fields.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { harmlessJson } from '../domain/text.ts';
import { plain, writtenFields } from './log-schema.ts';

export interface LogParts {
  readonly clock: Pick<Clock, 'now'>;
  /** Each line with its end; must not throw. */
  readonly write: (line: string) => void;
  readonly level?: LogLevel;
  /** Told of each field that the schema refuses; it is left out. */
  readonly onRefused?: (field: string) => void;
}

export interface LogControl {
  setLevel(level: LogLevel): void;
  /** From now on each line names the node that writes it. */
  setNode(nodeId: NodeId): void;
}

export function createLog({ clock, write, level = 'info', onRefused }: LogParts): Log & LogControl {
  let nodeId: NodeId | undefined;
  const logger = pino(
    {
      level,
      base: { type: 'log' },
      timestamp: () => `,"at":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: (fields) => ({ ...(nodeId === undefined ? {} : { nodeId }), ...writtenFields(fields, onRefused) }) },
      serializers: { err: (shown: unknown) => shown },
    },
    // Of a file that people look at as it is, and on the terminal of a node in the foreground.
    { write: (line: string) => write(`${harmlessJson(line.trimEnd())}\n`) },
  );
  return {
    debug: (fields, message) => logger.debug(fields, plain(message)),
    info: (fields, message) => logger.info(fields, plain(message)),
    warn: (fields, message) => logger.warn(fields, plain(message)),
    error: (fields, message) => logger.error(fields, plain(message)),
    setLevel: (wanted) => {
      logger.level = wanted;
    },
    setNode: (id) => {
      nodeId = id;
    },
  };
}

/** Says nothing: commands that start a node only to write through it. */
export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
