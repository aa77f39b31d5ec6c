/**
 * What a process asked of the kernel, in order, from `strace -f`: the only way to see from outside that a sync came
 * before an answer. A line is written when a call returns, or when another thread's call comes in between, then with
 * `<unfinished ...>`: so the order of lines is the order of what happened.
 */
import { readFileSync } from 'node:fs';
import { missing, notLinux } from './programs.ts';

/** Why nothing can be traced here; undefined when it can. */
export const noTracing: string | undefined = notLinux ?? missing('strace');

export interface Syscall {
  readonly name: string;
  /** File descriptor with what it is: `25</tmp/x/beckon.db-wal>`, `31<UNIX-STREAM:[…]>`. */
  readonly descriptor: string;
  /** The arguments as strace shows them. */
  readonly text: string;
  /** Places in the order of things: when the call was made, and when it came back; Infinity when it never did. */
  readonly begins: number;
  readonly returns: number;
  /** Epoch seconds of the two. */
  readonly beginsAt: number;
  readonly returnsAt: number;
}

/** strace's words, to put in front of a program. `delaySyncsMs` makes each sync of a file take that much longer. */
export function tracing(output: string, { delaySyncsMs, preload }: { readonly delaySyncsMs?: number; readonly preload?: string } = {}): readonly string[] {
  return [
    'strace',
    '--follow-forks',
    '--seccomp-bpf',
    '-ttt',
    '-T',
    '-yy',
    '--string-limit=9000',
    '--signal=none',
    '--quiet=all',
    '--trace=fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64,pwritev',
    ...(delaySyncsMs === undefined ? [] : [`--inject=fsync,fdatasync:delay_enter=${delaySyncsMs}ms`]),
    // Only for what is traced: strace itself is not to be changed.
    ...(preload === undefined ? [] : [`--env=LD_PRELOAD=${preload}`]),
    `--output=${output}`,
  ];
}

export function readTrace(path: string): readonly Syscall[] {
  return parseTrace(readFileSync(path, 'latin1'));
}

type Begun = Omit<Syscall, 'returns' | 'returnsAt'>;

export function parseTrace(text: string): readonly Syscall[] {
  const calls: Syscall[] = [];
  const pending = new Map<string, Begun>();
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^(?:\[pid +)?(\d+)\]? +(\d+\.\d+) (.*)$/s.exec(line);
    if (match === null) continue;
    const [, thread = '', time = '', rest = ''] = match;
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/s.exec(rest);
    if (resumed !== null) {
      const begun = pending.get(thread);
      pending.delete(thread);
      if (begun !== undefined) calls.push({ ...begun, text: begun.text + (resumed[2] ?? ''), returns: index, returnsAt: Number(time) });
      continue;
    }
    const call = /^(\w+)\((\d+<.*?>(?=[,)]| <unfinished)|\d+)?(.*)$/s.exec(rest);
    if (call === null) continue;
    const [, name = '', descriptor = '', args = ''] = call;
    const begun = { name, descriptor, text: args, begins: index, beginsAt: Number(time) };
    if (args.endsWith('<unfinished ...>')) pending.set(thread, begun);
    else calls.push({ ...begun, returns: index, returnsAt: Number(time) + tookOf(args) });
  }
  // What never came back.
  for (const begun of pending.values()) calls.push({ ...begun, returns: Infinity, returnsAt: Infinity });
  return calls.toSorted((a, b) => a.begins - b.begins);
}

/** Seconds, from the `<0.000123>` at the end of the line. */
function tookOf(text: string): number {
  return Number(/<(\d+\.\d+)>$/.exec(text)?.[1] ?? 0);
}

export interface Durability {
  /** The first write of the id to the log of the database. */
  readonly logged: Syscall | undefined;
  /** The sync of the log that made it durable: begun after all of that commit was written. */
  readonly synced: Syscall | undefined;
  /** The first time the id went out to a client. */
  readonly told: Syscall | undefined;
  /** Undefined when the promise was kept. */
  readonly violation: string | undefined;
}

/** Whether the commit of `id` was on the disk before a client of the control socket was told `id`. */
export function judgeDurability(calls: readonly Syscall[], id: string): Durability {
  const isLog = (call: Syscall): boolean => call.descriptor.endsWith('.db-wal>');
  const isSync = (call: Syscall): boolean => (call.name === 'fsync' || call.name === 'fdatasync') && isLog(call) && /= 0\b/.test(call.text);
  const isWrite = (call: Syscall): boolean => call.name.startsWith('pwrite') || call.name.startsWith('write') || call.name.startsWith('send');
  const writes = calls.filter((call) => isWrite(call) && call.text.includes(id));
  const logged = writes.find(isLog);
  const told = writes.find((call) => /<UNIX/.test(call.descriptor));
  const first = logged === undefined ? undefined : calls.find((call) => isSync(call) && call.begins > logged.begins);
  // The rest of the commit: what else went to the log before that sync began must have returned by then.
  const isTorn = logged !== undefined && first !== undefined && calls.some((call) => isLog(call) && isWrite(call) && call.begins >= logged.begins && call.begins < first.begins && call.returns > first.begins);
  const synced = isTorn ? undefined : first;
  return { logged, synced, told, violation: violationOf(logged, synced, told) };
}

function violationOf(logged: Syscall | undefined, synced: Syscall | undefined, told: Syscall | undefined): string | undefined {
  if (logged === undefined) return 'the id was never written to the log of the database';
  if (told !== undefined && told.begins < logged.begins) return 'the id was told before it was written';
  if (synced === undefined) return 'the log was never synced after the id was written to it';
  if (told !== undefined && told.begins < synced.returns) return 'the id was told before the sync returned';
  return undefined;
}
