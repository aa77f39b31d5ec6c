/** What runs on this machine, for tests that must see that nothing is left. Reads the table by itself, not with the code under test. */
import { execFileSync } from 'node:child_process';

export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly command: string;
}

/** All processes that still run; those that only wait to be waited for are dead and left out. */
export function runningProcesses(): RunningProcess[] {
  const listing = execFileSync('ps', ['-axo', 'pid=,ppid=,pgid=,stat=,args='], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
  return listing.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s?(.*)$/.exec(line);
    if (match === null || match[4]?.startsWith('Z') === true) return [];
    return [{ pid: Number(match[1]), parent: Number(match[2]), group: Number(match[3]), command: match[5] ?? '' }];
  });
}

/** Who has `text` in its command line: put a unique word into the arguments of what a test starts. */
export function processesNaming(text: string): RunningProcess[] {
  return runningProcesses().filter((each) => each.command.includes(text));
}

export function processesOfGroup(group: number): RunningProcess[] {
  return runningProcesses().filter((each) => each.group === group);
}

export function isRunning(pid: number): boolean {
  return runningProcesses().some((each) => each.pid === pid);
}
