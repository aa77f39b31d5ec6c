/** A program of the system, run to its end. */
import { execFile } from 'node:child_process';

export interface Ran {
  /** Undefined when it could not be started, or did not end in time. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never rejects. */
export type Run = (program: string, args: readonly string[], options?: { readonly timeoutMs?: number; readonly env?: Readonly<Record<string, string>> }) => Promise<Ran>;

const usualMs = 15_000;
const mostBytes = 1024 * 1024;

/** Speaks plain English whatever the person's language, since it is read here. */
export function systemRun(base: Readonly<Record<string, string | undefined>>): Run {
  return (program, args, { timeoutMs = usualMs, env = {} } = {}) =>
    new Promise((resolve) => {
      const options = { env: { ...base, ...env, LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' }, timeout: timeoutMs, maxBuffer: mostBytes };
      execFile(program, [...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined;
        resolve({ code, stdout, stderr: stderr === '' && code === undefined ? (error?.message ?? '') : stderr });
      });
    });
}
