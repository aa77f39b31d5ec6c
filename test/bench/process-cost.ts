/** What a process takes, as the kernel counts it. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: ticks a second in /proc, whatever the kernel's own are. */
const ticks = 100;

/** Time on a processor so far, all threads, ms. */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticks;
}

/** How often its threads went to sleep so far, and so were woken. */
export function wakeUps(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))?.[1] ?? 0), 0);
}

/** What it runs, as it was started. */
export function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}
