/** A campaign that a person starts: Ctrl-C gives it up, its assertions are printed whatever becomes of it, and the exit code says how it went. */
import { Verdict } from './verdict.ts';

export interface ByHand {
  /** To be filled: what it has is printed also when the run breaks. */
  readonly verdict: Verdict;
  readonly signal: AbortSignal;
  readonly tell: (text: string) => void;
}

/** As it was given, for a replay; another one each time when it was not. NaN for what is no number. */
export function seedOf(given: string | undefined): number {
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}

/** Ends the process with 2. */
export function misused(usage: string): never {
  console.error(`usage: npm run ${usage}`);
  process.exit(2);
}

/** Ends the process: with 0 when nothing broke, neither an assertion nor the run. */
export async function byHand(run: (parts: ByHand) => Promise<unknown>): Promise<never> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  const verdict = new Verdict();
  const broken = await run({ verdict, signal: interrupted.signal, tell: (text) => console.log(text) }).then(
    () => undefined,
    (error: unknown) => error ?? 'nobody knows why',
  );
  if (broken !== undefined) console.error(broken);
  await written([...verdict.report(), last(verdict, broken !== undefined)]);
  return process.exit(broken !== undefined || verdict.failed > 0 ? 1 : 0);
}

/** Of a run that broke nothing has passed: what did not come under an assertion any more would have. */
function last({ passed, failed }: Verdict, isBroken: boolean): string {
  return isBroken ? `0 passed, ${failed + 1} failed: the run itself broke` : `${passed} passed, ${failed} failed`;
}

/** An exit does not wait for a pipe. */
function written(lines: readonly string[]): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${lines.join('\n')}\n`, () => resolve()));
}
