/** Which processes belong to a test: those with the test's directory in their command line, directory or environment. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processesNaming } from './processes.ts';
import type { RunningProcess } from './processes.ts';

/**
 * All that runs for the test that owns `directory`. On Linux by command line, working directory and environment, so
 * that an agent's children are found too; elsewhere by command line.
 */
export function processesOf(directory: string): readonly Pick<RunningProcess, 'pid' | 'command'>[] {
  if (process.platform !== 'linux') return processesNaming(directory);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const seen = look(`/proc/${name}`);
      return seen !== undefined && seen.traces.some((trace) => trace.includes(directory)) ? [{ pid: Number(name), command: seen.command }] : [];
    });
}

/** Kills what still runs; what has ended meanwhile is no error. */
export function killAll(processes: readonly Pick<RunningProcess, 'pid'>[]): void {
  for (const { pid } of processes) kill(pid, 'SIGKILL');
}

/** @returns false when there is no such process any more */
export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function look(path: string): { readonly command: string; readonly traces: readonly string[] } | undefined {
  try {
    // State Z: dead, only not waited for yet.
    if (/^State:\s+[ZX]/m.test(readFileSync(`${path}/status`, 'utf8'))) return undefined;
    const command = readFileSync(`${path}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return { command, traces: [command, readFileSync(`${path}/environ`, 'utf8'), readlinkSync(`${path}/cwd`)] };
  } catch (error) {
    // It ended while it was looked at, or is another user's.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
