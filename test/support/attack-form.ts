/**
 * The closed form of an attack, judged: of the node it is told by `Watched` alone, so that each of its checks can be seen to fail
 * without one (unit/repo/attack-form).
 */
import { performance } from 'node:perf_hooks';
import { expect } from 'vitest';
import type { AuditKind } from '../../src/domain/audit.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { expectAudit } from './attack-audit.ts';
import { changesOf } from './store-contents.ts';
import type { Change, Contents } from './store-contents.ts';
import { waitFor } from './wait-for.ts';

/** All that is looked at of a node. */
export interface Watched {
  readonly name: string;
  /** Undefined: it does not run. */
  readonly pid: () => number | undefined;
  /** What its store holds when nothing is on its way any more. */
  readonly contents: () => Promise<Contents>;
  /** From now on: lines at `info` and above so far. */
  readonly logSince: () => () => readonly Line[];
  /** As it tells it; 0 for one that it does not tell. */
  readonly counter: (name: string) => Promise<number>;
  /** All that runs for it, and itself. */
  readonly processes: () => readonly string[];
  /** From now on: how much more it has had at once so far, MB. */
  readonly memorySince: (pid: number) => () => number;
}

export interface Attacked {
  readonly node: Watched;
  /** A legitimate call that needs what is attacked. Rejects when it is not served. */
  readonly serves: () => Promise<void>;
}

/**
 * `cut`: the connection was ended. `silence`: nothing was said, and what came after it was answered. `repeated`: it was told what it
 * was told the first time. `harmless`: it was taken as what it is, and had nothing of the effect that it was made for, which the case
 * itself looks at.
 */
export type Verdict = ErrorCode | 'cut' | 'silence' | 'repeated' | 'harmless';

/** What the attacker was told. */
export interface Told {
  readonly code: Verdict;
  readonly words?: string;
}

export interface Line {
  readonly level: string;
  readonly msg: string;
  /** The whole line. */
  readonly text: string;
}

/** Something that the victim stores all the same, and why that is right. */
export interface Stored {
  readonly table: string;
  readonly what?: Change['what'];
  /** Of the row as JSON. */
  readonly row?: RegExp;
  /** Rows at most; one when left out. */
  readonly most?: number;
  readonly why: string;
}

/** A case, but for whom it attacks. */
export interface Attack<Ready> {
  /** What has to be there before. Not judged. */
  readonly arrange?: () => Promise<Ready>;
  /** All of it, until the attacker knows how it was answered: each answer counts. */
  readonly act: (ready: Ready) => Promise<Told | readonly Told[]>;
  /** What every answer has to be. */
  readonly refused: { readonly code: Verdict | readonly Verdict[]; readonly words?: RegExp };
  /**
   * The one line of the log that says so, at `info` or above; with `each` one for each answer, no more and no fewer; of a flood as many as `most`. Or a counter that the node tells
   * its metrics by, `name{label="value"}`, which has to move by `by` at least, one when left out: for what honest nodes do, too. Or
   * why no line is due: then there is none.
   */
  readonly logged: { readonly line: RegExp; readonly each?: true; readonly most?: number } | { readonly counter: string; readonly by?: number } | { readonly none: string };
  /** Other lines at `warn` or `error` that belong to it. None when left out. */
  readonly besides?: RegExp;
  readonly stores?: readonly Stored[];
  /** What its audit has of it, and nothing else: see `auditFlaw`. Nothing when left out. */
  readonly audit?: readonly AuditKind[];
  /** How much the node may have had at once above what it had before, MB; 64 when left out. */
  readonly growsMb?: number;
  /** Further promises, looked at when the node has served again. */
  readonly holds?: (ready: Ready) => Promise<void> | void;
  /** In the list at the end: what the case showed. */
  readonly shows: string;
}

/** What a reporter gets of each case. */
export interface AttackNote {
  readonly refused: string;
  readonly logged: string;
  readonly audit: string;
  readonly servedMs: number;
  readonly grewMb: number;
  readonly shows: string;
}

/** How long it is waited, ms. */
export interface Patience {
  /** A busy machine takes its time; a node that is stuck takes more. */
  readonly servesMs: number;
  /** For the line of a refusal that was heard. */
  readonly loggedMs: number;
  /** For what an attack started to be gone. */
  readonly goneMs: number;
}

const usualPatience: Patience = { servesMs: 10_000, loggedMs: 5_000, goneMs: 5_000 };

/** @throws unless all of it holds */
export async function judge<Ready>({ node, serves }: Attacked, its: Attack<Ready>, patience = usualPatience): Promise<AttackNote> {
  const ready = (await its.arrange?.()) as Ready;
  const before = await node.contents();
  const lines = node.logSince();
  const counted = 'counter' in its.logged ? await node.counter(its.logged.counter) : 0;
  const processes = node.processes();
  const pid = node.pid();
  if (pid === undefined) throw new Error(`${node.name} does not run`);
  const grownMb = node.memorySince(pid);

  const answers = await its.act(ready);
  const told = 'code' in answers ? [answers] : answers;
  expectTold(told, its);

  const logged = await theLine(node, its, lines, counted, told.length, patience);
  const after = await node.contents();
  expect(notNamed(changesOf(before, after).filter(({ table }) => table !== 'audit'), its.stores ?? [])).toEqual([]);
  const audit = expectAudit(before, after, its.audit ?? []);

  const startedAt = performance.now();
  await inTime(serves(), patience.servesMs, `${node.name} to serve`);
  const servedMs = Math.round(performance.now() - startedAt);
  if (node.pid() !== pid) throw new Error(`${node.name} is another process than before`);
  await waitFor('nothing new to run', () => node.processes().every((each) => processes.includes(each)), { timeoutMs: patience.goneMs });
  const grewMb = grownMb();
  if (grewMb > (its.growsMb ?? 64)) throw new Error(`${node.name} had ${grewMb} MB more at once`);
  expectLines(lines(), its, told.length);
  await its.holds?.(ready);
  return { refused: describe(told), logged, audit, servedMs, grewMb, shows: its.shows };
}

/** @returns what is shown of it */
async function theLine<Ready>(node: Watched, its: Attack<Ready>, lines: () => readonly Line[], counted: number, answers: number, { loggedMs }: Patience): Promise<string> {
  const { logged } = its;
  if ('none' in logged) return `none is due, ${logged.none}`;
  if ('counter' in logged) {
    const now = await waitFor(`${logged.counter} to move`, async () => {
      const value = await node.counter(logged.counter);
      return value - counted >= (logged.by ?? 1) ? value : undefined;
    }, { timeoutMs: loggedMs, pollMs: 50 });
    return `${logged.counter} +${now - counted}`;
  }
  const [first] = await waitFor(`a line like ${logged.line}`, () => {
    const about = lines().filter(({ text }) => logged.line.test(text));
    return about.length >= (logged.each === true ? answers : 1) ? about : undefined;
  }, { timeoutMs: loggedMs, pollMs: 20 }).catch(() => {
    throw new Error(`no line like ${logged.line}${logged.each === true ? ' for each answer' : ''}; it logged:\n${lines().map(({ text }) => text).join('\n')}`);
  });
  return first?.msg ?? '';
}

export function expectTold<Ready>(told: readonly Told[], { refused }: Attack<Ready>): void {
  const codes: readonly Verdict[] = typeof refused.code === 'string' ? [refused.code] : refused.code;
  const wrong = told.filter(({ code, words = '' }) => !codes.includes(code) || refused.words?.test(words) === false);
  if (told.length === 0) throw new Error('the attacker was told nothing, not even by silence');
  expect(wrong).toEqual([]);
}

export function expectLines<Ready>(lines: readonly Line[], { logged, besides }: Attack<Ready>, answers = 1): void {
  const isAbout = ({ text }: Line): boolean => 'line' in logged && logged.line.test(text);
  const mine = lines.filter(isAbout).map(({ text }) => text);
  if (mine.length > mostLines(logged, answers)) throw new Error(`${mine.length} lines say so:\n${mine.slice(0, 10).join('\n')}`);
  // Whatever else it complained of.
  const others = lines.filter((line) => (line.level === 'warn' || line.level === 'error') && !isAbout(line) && besides?.test(line.text) !== true);
  expect(others.map(({ text }) => text)).toEqual([]);
}

function mostLines<Ready>(logged: Attack<Ready>['logged'], answers: number): number {
  if (!('line' in logged)) return 0;
  return logged.each === true ? answers : (logged.most ?? 1);
}

/** What nobody said may be stored. */
export function notNamed(changes: readonly Change[], stores: readonly Stored[]): Change[] {
  const left = stores.map((each) => ({ ...each, left: each.most ?? 1 }));
  return changes.filter(({ table, what, row }) => {
    const named = left.find((each) => each.left > 0 && each.table === table && (each.what ?? what) === what && (each.row ?? /^/).test(row));
    if (named !== undefined) named.left -= 1;
    return named === undefined;
  });
}

async function inTime(work: Promise<void>, withinMs: number, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${withinMs} ms for ${what}`)), withinMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describe(told: readonly Told[]): string {
  const counts = new Map<string, number>();
  for (const { code } of told) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].map(([code, count]) => (count === 1 ? code : `${count} × ${code}`)).join(', ');
}
