/** Which processes there are, as the platform tells it: /proc on Linux, ps elsewhere. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Linux: the session id. Elsewhere ps gives none that can be compared, and this is the group. */
  readonly session: number;
}

/** All running processes as they were some time after the call. The dead that nobody has waited for are left out. */
export type ReadProcesses = () => Promise<readonly ProcessEntry[]>;

/** A reading begins when all that is at hand has asked for it; who comes while one is under way shares the next. So many runs that end at once read the table once or twice, not each. */
export function processTable(platform: NodeJS.Platform): ReadProcesses {
  const readOnce = platform === 'linux' ? readProc : readPs;
  let current: Promise<readonly ProcessEntry[]> | undefined;
  let next: Promise<readonly ProcessEntry[]> | undefined;
  const begin = (): Promise<readonly ProcessEntry[]> => {
    next = undefined;
    const reading = readOnce();
    current = reading;
    const over = (): void => {
      if (current === reading) current = undefined;
    };
    reading.then(over, over);
    return reading;
  };
  return () => {
    next ??= (current ?? Promise.resolve()).then(begin, begin);
    return next;
  };
}

/** Entries read before other work gets its turn; one takes about 10 µs. */
const batch = 100;

async function readProc(): Promise<readonly ProcessEntry[]> {
  const entries: ProcessEntry[] = [];
  let read = 0;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const entry = parseStat(statOf(name));
    if (entry !== undefined) entries.push(entry);
    read += 1;
    if (read % batch === 0) await nextTurn();
  }
  return entries;
}

function statOf(pid: string): string {
  try {
    // latin1: the command's name may be any bytes.
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // It ended since the directory was read.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}

/** proc_pid_stat(5): `pid (name) state ppid pgrp session …`, where the name may hold anything, `)` too. */
export function parseStat(stat: string): ProcessEntry | undefined {
  const [state = '', parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
  if (stat === '' || isDead(state)) return undefined;
  return { pid: Number.parseInt(stat, 10), parent: Number(parent), group: Number(group), session: Number(session) };
}

async function readPs(): Promise<readonly ProcessEntry[]> {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-axo', 'pid=,ppid=,pgid=,stat='], { maxBuffer: 16 * 1024 * 1024 });
  return parsePs(stdout);
}

export function parsePs(listing: string): ProcessEntry[] {
  return listing.split('\n').flatMap((line) => {
    const [pid, parent, group, state] = line.trim().split(/\s+/, 4);
    if (state === undefined || isDead(state)) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), session: Number(group) }];
  });
}

const isDead = (state: string): boolean => /^[ZXx]/.test(state);
