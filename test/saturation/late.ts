/** Where the time of the slowest heartbeats went, from what both nodes of each session said of it. */
import { steps } from './beats.ts';
import type { Step } from './beats.ts';
import type { Meter } from './meters.ts';

interface Life {
  readonly from: string;
  readonly number: number;
  readonly atMs: Partial<Record<Step, number>>;
}

export const lateHead = ['heartbeat', 'answered after', 'until it left', 'on its way', 'until the answer left', 'on its way back'];

/** The slowest, one row each. */
export function latest(meters: readonly Meter[], most = 5): readonly (readonly string[])[] {
  const beats = meters.map(({ name, reports }) => ({ name, beats: reports.flatMap(({ heartbeat }) => heartbeat.beats) }));
  const lives: Life[] = [];
  for (const { name, beats: own } of beats) {
    const mine = new Map<string, Life>();
    for (const [session, number, step, atMs] of own) {
      if (step === 'asked') mine.set(`${session} ${number}`, { from: name, number, atMs: {} });
      const life = mine.get(`${session} ${number}`);
      if (life !== undefined && (step === 'asked' || step === 'left' || step === 'answered')) life.atMs[step] = atMs;
    }
    for (const { name: other, beats: theirs } of beats) {
      if (other === name) continue;
      for (const [session, number, step, atMs] of theirs) {
        const life = mine.get(`${session} ${number}`);
        if (life !== undefined && (step === 'came' || step === 'replied')) life.atMs[step] = atMs;
      }
    }
    lives.push(...mine.values());
  }
  const tookMs = ({ atMs: { asked = 0, answered = asked } }: Life): number => answered - asked;
  return lives
    .toSorted((a, b) => tookMs(b) - tookMs(a))
    .slice(0, most)
    .map((life) => [`${life.from} ${life.number}`, ms(tookMs(life)), ...steps.slice(1).map((step, index) => between(life, steps[index] ?? 'asked', step))]);
}

function between({ atMs }: Life, from: Step, to: Step): string {
  const [begun, ended] = [atMs[from], atMs[to]];
  return begun === undefined || ended === undefined ? '?' : ms(ended - begun);
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
