/** Boundaries one after the other, each in processes of its own, two at once. What ends a process is found in what it tried last. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { ChildOrder, ChildWord } from './child.ts';
import type { Find } from './trial.ts';
import { minimised } from './minimise.ts';
import { lastInput } from './watchdog.ts';

const child = fileURLToPath(new URL('child.ts', import.meta.url));
/** A process that dies is started again, with other dice, as often. */
const mostDeaths = 10;
/** Trials of what kills a process cost a process each. */
const mostDeadlyTries = 12;
const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--max-old-space-size=1024', '--stack-trace-limit=30', '--max-semi-space-size=16'];

export interface Found {
  readonly kind: Find['kind'] | 'growth';
  readonly what: string;
  /** Empty when it was no one's. */
  readonly input: Uint8Array;
  /** Not found again when its input was tried alone. */
  readonly isOnce?: boolean;
}

export interface Report {
  readonly boundary: string;
  readonly inputs: number;
  readonly accepted: number;
  readonly kept: number;
  /** Of the places of the code that was loaded, those that were reached. */
  readonly reached: number;
  readonly places: number;
  readonly ms: number;
  readonly finds: readonly Found[];
}

export interface CampaignOptions {
  readonly boundary: string;
  readonly seed: number;
  readonly inputs: number;
  readonly ms?: number;
  readonly signal: AbortSignal;
  /** Deaths of a process that are looked into; 10 unless told. */
  readonly deaths?: number;
}

export async function campaign({ boundary, seed, inputs, ms, signal, deaths: most = mostDeaths }: CampaignOptions): Promise<Report> {
  const place = mkdtempSync(join(tmpdir(), 'beckon-fuzz-'));
  const beganMs = performance.now();
  const finds: Found[] = [];
  let [given, accepted, kept, reached, places] = [0, 0, 0, 0, 0];
  try {
    for (let deaths = 0; given < inputs && deaths < most && !signal.aborted; deaths += 1) {
      const leftMs = ms === undefined ? undefined : ms - (performance.now() - beganMs);
      if (leftMs !== undefined && leftMs <= 0) break;
      const scratch = join(place, 'input');
      writeFileSync(scratch, '');
      let isDone = false;
      let progress = 0;
      /** What ended the process, in its own words. */
      let last: Find | undefined;
      const order: ChildOrder = { boundary, seed: seed + deaths, inputs: inputs - given, scratch, ...(leftMs === undefined ? {} : { ms: leftMs }) };
      const ended = await ran(order, signal, (word) => {
        if (word.type === 'progress') progress = word.inputs;
        if (word.type === 'find' && word.input === '') last = word.find;
        else if (word.type === 'find') finds.push({ ...word.find, input: Buffer.from(word.input, 'base64') });
        if (word.type !== 'done') return;
        isDone = true;
        progress = word.inputs;
        [accepted, kept, reached, places] = [accepted + word.accepted, word.kept, word.reached, word.places];
        if (word.growth !== undefined) finds.push({ kind: 'growth', what: word.growth, input: new Uint8Array(0) });
        if (word.refusedGrowth !== undefined) finds.push({ kind: 'growth', what: `of refused inputs alone: ${word.refusedGrowth}`, input: new Uint8Array(0) });
      });
      given += progress;
      if (isDone) break;
      if (signal.aborted) break;
      finds.push(await deadly({ boundary, seed, signal, place, ended, last }, lastInput(scratch)));
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  return { boundary, inputs: given, accepted, kept, reached, places, ms: performance.now() - beganMs, finds };
}

interface Death extends Pick<CampaignOptions, 'boundary' | 'seed' | 'signal'> {
  readonly place: string;
  readonly ended: string;
  readonly last: Find | undefined;
}

/** Tried alone, and made smaller as long as it still ends its process. */
async function deadly({ boundary, seed, signal, place, ended, last }: Death, input: Uint8Array | undefined): Promise<Found> {
  if (input === undefined) return { kind: 'crash', what: `its process ended before the first input: ${ended}`, input: new Uint8Array(0) };
  const [check, scratch] = [join(place, 'check'), join(place, 'checked')];
  const isDeadly = async (candidate: Uint8Array): Promise<boolean> => {
    writeFileSync(check, candidate);
    let isChecked = false;
    await ran({ boundary, seed, inputs: 1, scratch, check }, signal, (word) => void (isChecked ||= word.type === 'checked'));
    return !isChecked;
  };
  const kind = ended === 'SIGKILL' ? 'hang' : 'crash';
  const what = kind === 'hang' ? 'it took over a second' : (last?.what ?? `its process ended: ${ended}`);
  // A machine that has other things to do is slow at times; memory that a run filled is empty again.
  if (!(await isDeadly(input))) return { kind, what: `${what}, and does not when it is tried alone`, input, isOnce: true };
  return { kind, what, input: await minimised(input, isDeadly, mostDeadlyTries) };
}

/** @returns how it ended */
function ran(order: ChildOrder, signal: AbortSignal, onWord: (word: ChildWord) => void): Promise<string> {
  const started = spawn(process.execPath, [...flags, child, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let said = '';
  started.stderr.on('data', (bytes: Buffer) => void (said = (said + bytes.toString()).slice(-2_000)));
  createInterface({ input: started.stdout }).on('line', (line) => {
    if (line.startsWith('{"type":')) onWord(JSON.parse(line) as ChildWord);
  });
  return new Promise((resolve) => {
    started.once('error', (error) => resolve(error.message));
    started.once('close', (code, by) => resolve(by ?? `exit code ${code ?? '?'}${said === '' ? '' : `: ${said.trim().split('\n').slice(-6).join(' | ')}`}`));
  });
}
