/** The log of a node, in its files. */
import { dirname } from 'node:path';
import type { Clock, Log } from '../domain/ports.ts';
import { defaults } from './config.ts';
import type { Config } from './config.ts';
import { createLog } from './log.ts';
import type { LogControl } from './log.ts';
import { LogFile } from './log-file.ts';
import { ensurePrivateDir } from './private-dir.ts';

export { silentLog } from './log.ts';

export interface NodeLog {
  readonly log: Log;
  readonly control: NodeLogControl;
}

export interface NodeLogControl extends Pick<LogControl, 'setNode'> {
  apply(config: Pick<Config, 'logLevel' | 'logFileBytes' | 'logFiles'>): void;
  /** Somebody may have moved the file. */
  reopen(): void;
}

export interface NodeLogParts {
  readonly path: string;
  readonly clock: Clock;
  /** Each line besides, as soon as it is written; must not throw. */
  readonly onLine?: (line: string) => void;
  /** Told of each field that the schema refuses; it is left out. */
  readonly onRefused?: (field: string) => void;
}

/** Nothing is written, and no file made, before the first line. @throws BrokerError when the directory can't be trusted */
export async function openNodeLog({ path, clock, onLine, onRefused }: NodeLogParts): Promise<NodeLog> {
  await ensurePrivateDir(dirname(path));
  const at = (): string => new Date(clock.now()).toISOString();
  const file = new LogFile({
    path,
    clock,
    limits: { bytes: defaults.log_size_mb * 1_000_000, files: defaults.log_files },
    lostLine: (lost, code) => `${JSON.stringify({ level: 'warn', at: at(), type: 'log', lost, code, msg: 'lines of the log were lost: they could not be written' })}\n`,
  });
  const log = createLog({
    clock,
    ...(onRefused === undefined ? {} : { onRefused }),
    write: (line) => {
      file.write(line);
      onLine?.(line);
    },
  });
  return {
    log,
    control: {
      setNode: (nodeId) => log.setNode(nodeId),
      apply: ({ logLevel, logFileBytes, logFiles }) => {
        log.setLevel(logLevel);
        file.setLimits({ bytes: logFileBytes, files: logFiles });
      },
      reopen: () => file.reopen(),
    },
  };
}
