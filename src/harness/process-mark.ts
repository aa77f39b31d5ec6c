/**
 * What tells one process from all others that this machine has run: its number, when it started, and in which boot.
 * Linux only: elsewhere nothing that a program may read cheaply holds against a number that comes again, so nothing is
 * recorded and what a dead node left there stays.
 */
import { readFileSync } from 'node:fs';
import type { ProcessMark } from '../domain/harness-port.ts';

/** Undefined where there is no /proc. One that has ended already has a mark until it is waited for: it may leave children. */
export function markOf(pid: number): ProcessMark | undefined {
  const bootId = currentBootId();
  const startedAt = fieldsOf(pid)?.start;
  return bootId === undefined || startedAt === undefined ? undefined : { pid, session: pid, startedAt, bootId };
}

/** Random a boot: proc_sys_kernel(5). */
export function currentBootId(): string | undefined {
  return contentOf('/proc/sys/kernel/random/boot_id')?.trim();
}

/** Clock ticks from boot to its start; undefined when it does not run, as it is with the dead that nobody waited for. */
export function startOf(pid: number): string | undefined {
  const fields = fieldsOf(pid);
  return fields === undefined || /^[ZXx]/.test(fields.state) ? undefined : fields.start;
}

function fieldsOf(pid: number): StatFields | undefined {
  const stat = contentOf(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseStatFields(stat);
}

export interface StatFields {
  readonly state: string;
  readonly start: string;
}

/** proc_pid_stat(5): the state is field 3 and the start time field 22, counted behind the name, which may hold anything. */
export function parseStatFields(stat: string): StatFields {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', start: fields[22 - 3] ?? '' };
}

/** Whether it was started with exactly this variable. False when its environment can't be read. */
export function hasVariable(pid: number, name: string, value: string): boolean {
  return contentOf(`/proc/${pid}/environ`)?.split('\0').includes(`${name}=${value}`) ?? false;
}

/** latin1, since a name or a value may be any bytes. Undefined when it is gone, or another user's. */
function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}
