/**
 * An attack on a real node, in a closed form: whatever the case, the same is looked at. The attacker was refused, with a code;
 * the victim's log has one line about it, or a counter moved; its store holds what it held; it still serves, has not grown, and
 * nothing that it did not run before runs. What a case lets pass of this it names.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { processesOf } from './belongings.ts';
import type { Ended } from './cli.ts';
import type { TestNode } from './node-process.ts';
import { because } from './programs.ts';
import { changesOf, restingContents } from './store-contents.ts';
import type { Change } from './store-contents.ts';
import { waitFor } from './wait-for.ts';

export interface Victim {
  readonly node: TestNode;
  /** A legitimate call that needs what is attacked. Rejects when it is not served. */
  readonly serves: () => Promise<void>;
}

/**
 * `cut`: the connection was ended. `silence`: nothing was said, and what came after it was answered. `repeated`: it was told what it
 * was told the first time. `harmless`: it was taken as what it is, and had nothing of the effect that it was made for, which the case
 * itself looks at.
 */
export type Verdict = ErrorCode | 'cut' | 'silence' | 'repeated' | 'harmless';

export const harmless: Told = { code: 'harmless' };

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

export interface Attack<Ready> {
  /** Asked when the case runs: then the file's nodes are up. */
  readonly victim: () => Victim;
  /** What has to be there before. Not judged. */
  readonly arrange?: () => Promise<Ready>;
  /** All of it, until the attacker knows how it was answered: each answer counts. */
  readonly act: (ready: Ready) => Promise<Told | readonly Told[]>;
  /** What every answer has to be. */
  readonly refused: { readonly code: Verdict | readonly Verdict[]; readonly words?: RegExp };
  /**
   * The one line of the log that says so, at `info` or above; of a flood as many as `most`. Or a counter that the node tells
   * its metrics by, `name{label="value"}`, which has to move by `by` at least, one when left out: for what honest nodes do, too. Or
   * why no line is due: then there is none.
   */
  readonly logged: { readonly line: RegExp; readonly most?: number } | { readonly counter: string; readonly by?: number } | { readonly none: string };
  /** Other lines at `warn` or `error` that belong to it. None when left out. */
  readonly besides?: RegExp;
  readonly stores?: readonly Stored[];
  /** How much the node may have had at once above what it had before, MB; 64 when left out. */
  readonly growsMb?: number;
  /** Further promises, looked at when the node has served again. */
  readonly holds?: (ready: Ready) => Promise<void> | void;
  /** In the list at the end: what the case showed. */
  readonly shows: string;
  readonly timeoutMs?: number;
  /** Why it can't be tried here. */
  readonly skip?: string | undefined;
}

/** What a reporter gets of each case. */
export interface AttackNote {
  readonly refused: string;
  readonly logged: string;
  readonly servedMs: number;
  readonly grewMb: number;
  readonly shows: string;
}

declare module 'vitest' {
  interface TaskMeta {
    attack?: AttackNote;
  }
}

/** A busy machine takes its time; a node that is stuck takes more. */
const servesWithinMs = 10_000;
/** How long the line of a refusal that was heard may take to be in the file. */
const loggedWithinMs = 5_000;

export function attack<Ready = undefined>(name: string, its: Attack<Ready>): void {
  test.skipIf(its.skip !== undefined)(`${name}${because(its.skip)}`, async ({ task }) => {
    const { node, serves } = its.victim();
    const ready = (await its.arrange?.()) as Ready;
    const before = await restingContents(node.databasePath);
    const log = new LogSince(node);
    const counted = 'counter' in its.logged ? await counterOf(node, its.logged.counter) : 0;
    const processes = runningFor(node);
    const { pid } = node;
    if (pid === undefined) throw new Error(`${node.name} does not run`);
    const memory = new PeakMemory(pid);

    const answers = await its.act(ready);
    const told = 'code' in answers ? [answers] : answers;
    expectTold(told, its);

    const logged = await theLine(node, its, log, counted);
    const stored = changesOf(before, await restingContents(node.databasePath)).filter((each) => each.table !== 'audit' || each.what === 'gone');
    expect(notNamed(stored, its.stores ?? [])).toEqual([]);

    const startedAt = performance.now();
    await inTime(serves(), `${node.name} to serve`);
    const servedMs = Math.round(performance.now() - startedAt);
    expect(node.pid).toBe(pid);
    await waitFor('nothing new to run', () => runningFor(node).every((each) => processes.includes(each)));
    const grewMb = memory.grewMb();
    expect(grewMb).toBeLessThanOrEqual(its.growsMb ?? 64);
    expectLines(log.lines(), its);
    await its.holds?.(ready);
    task.meta.attack = { refused: describe(told), logged, servedMs, grewMb, shows: its.shows };
  }, its.timeoutMs);
}

/** How a command of a node's user was refused. @throws when it was not */
export function toldBy({ code, stdout, stderr }: Ended): Told {
  if (code === 0) throw new Error(`it was not refused: ${stdout.toString().slice(0, 500)}`);
  const lines = stdout.toString().split('\n').filter((line) => line.startsWith('{'));
  for (const text of [stdout.toString(), ...lines.toReversed()]) {
    const error = errorIn(text);
    if (error !== undefined) return { code: error.code, words: `${error.message} ${error.hint ?? ''}` };
  }
  throw new Error(`it exited ${code} without an error in JSON: ${stdout.toString().slice(0, 500)} ${stderr.slice(0, 500)}`);
}

/** How a promise of the SDK, or of a call between nodes, was refused. @throws when it was not */
export async function toldByError(work: Promise<unknown>): Promise<Told> {
  try {
    await work;
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message: string };
    if (typeof code !== 'string') throw error;
    return { code: code as Verdict, words: message };
  }
  throw new Error('it was not refused');
}

/** A metric as the node tells it; 0 when it is not among them. Wants `metrics_listen` in its config, see `withMetrics`. */
export async function counterOf(node: TestNode, counter: string): Promise<number> {
  const at = readFileSync(join(node.home, 'config.toml'), 'utf8').match(/metrics_listen = "([^"]+)"/)?.[1];
  if (at === undefined) throw new Error(`${node.name} tells no metrics`);
  const text = await new Promise<string>((resolve, reject) => {
    const request = get(`http://${at}/metrics`, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve(Buffer.concat(chunks).toString()));
      response.once('error', reject);
    });
    request.once('error', reject);
  });
  const line = text.split('\n').find((each) => each.startsWith(`${counter} `));
  return line === undefined ? 0 : Number(line.slice(counter.length + 1));
}

/** Before its start. @param port on loopback */
export function withMetrics(node: TestNode, port: number): void {
  writeFileSync(join(node.home, 'config.toml'), `metrics_listen = "127.0.0.1:${port}"\n`, { mode: 0o600, flag: 'a' });
}

/** Lines that a node has written since this was made. */
export class LogSince {
  readonly #node: TestNode;
  readonly #from: number;

  constructor(node: TestNode) {
    this.#node = node;
    this.#from = Buffer.byteLength(node.log);
  }

  /** At `info` and above. */
  lines(): Line[] {
    const log = Buffer.from(this.#node.log);
    if (log.length < this.#from) throw new Error('the log was filled until it was put aside');
    const lines = log.subarray(this.#from).toString().split('\n').filter((line) => line !== '');
    return lines.map((text) => ({ ...(JSON.parse(text) as Line), text })).filter(({ level }) => level !== 'debug');
  }
}

/** @returns what is shown of it */
async function theLine<Ready>(node: TestNode, its: Attack<Ready>, log: LogSince, counted: number): Promise<string> {
  const { logged } = its;
  if ('none' in logged) return `none is due, ${logged.none}`;
  if ('counter' in logged) {
    const now = await waitFor(`${logged.counter} to move`, async () => {
      const value = await counterOf(node, logged.counter);
      return value - counted >= (logged.by ?? 1) ? value : undefined;
    }, { timeoutMs: loggedWithinMs, pollMs: 50 });
    return `${logged.counter} +${now - counted}`;
  }
  const [first] = await waitFor(`a line like ${logged.line}`, () => {
    const lines = log.lines().filter(({ text }) => logged.line.test(text));
    return lines.length > 0 ? lines : undefined;
  }, { timeoutMs: loggedWithinMs, pollMs: 20 }).catch(() => {
    throw new Error(`no line like ${logged.line}; it logged:\n${log.lines().map(({ text }) => text).join('\n')}`);
  });
  return first?.msg ?? '';
}

export function expectTold<Ready>(told: readonly Told[], { refused }: Attack<Ready>): void {
  const codes: readonly Verdict[] = typeof refused.code === 'string' ? [refused.code] : refused.code;
  const wrong = told.filter(({ code, words = '' }) => !codes.includes(code) || refused.words?.test(words) === false);
  if (told.length === 0) throw new Error('the attacker was told nothing, not even by silence');
  expect(wrong).toEqual([]);
}

export function expectLines<Ready>(lines: readonly Line[], { logged, besides }: Attack<Ready>): void {
  const isAbout = ({ text }: Line): boolean => 'line' in logged && logged.line.test(text);
  const mine = lines.filter(isAbout).map(({ text }) => text);
  if (mine.length > ('line' in logged ? (logged.most ?? 1) : 0)) throw new Error(`${mine.length} lines say so:\n${mine.slice(0, 10).join('\n')}`);
  // Whatever else it complained of.
  const others = lines.filter((line) => (line.level === 'warn' || line.level === 'error') && !isAbout(line) && besides?.test(line.text) !== true);
  expect(others.map(({ text }) => text)).toEqual([]);
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

/** Of that node: its own, and what it runs. */
function runningFor(node: TestNode): string[] {
  return processesOf(node.home).map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`);
}

async function inTime(work: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${servesWithinMs} ms for ${what}`)), servesWithinMs);
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

function errorIn(text: string): { readonly code: Verdict; readonly message: string; readonly hint?: string } | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly code: Verdict; readonly message: string; readonly hint?: string } };
    return error;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** How much more a process had at once than when this was made. Linux keeps the peak, and forgets it when it is told to. */
class PeakMemory {
  readonly #pid: number;
  readonly #beforeMb: number;

  constructor(pid: number) {
    this.#pid = pid;
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5');
    this.#beforeMb = this.#peakMb();
  }

  grewMb(): number {
    return Math.max(0, Math.round(this.#peakMb() - this.#beforeMb));
  }

  #peakMb(): number {
    if (process.platform !== 'linux') return 0;
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  }
}
