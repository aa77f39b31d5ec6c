/** README's table of what another person reaches, as data. */
import { readFileSync } from 'node:fs';
import { outcomes } from './attempts.ts';
import type { Outcome } from './attempts.ts';

/** `command: outcome`, in alphabetical order. @throws when README has no such table, or one of another form */
export function toldInReadme(): readonly string[] {
  const lines = readFileSync(new URL('../../README.md', import.meta.url), 'utf8').split('\n');
  const head = lines.findIndex((line) => line.startsWith('| Bob types | and it is |'));
  if (head < 0) throw new Error('README has no table "| Bob types | and it is |"');
  const rows = lines.slice(head + 2, lines.findIndex((line, at) => at > head && !line.startsWith('|')));
  return rows.flatMap((row) => {
    const [, commands = '', word = ''] = row.split(/(?<!\\)\|/).map((each) => each.trim());
    const outcome = outcomes.find((each) => `**${each}**` === word);
    if (outcome === undefined) throw new Error(`"${word}" is no outcome: ${row}`);
    return [...commands.matchAll(/`([a-z ]+)`/g)].map(([, command = '']) => pairOf(command, outcome));
  }).toSorted();
}

export function pairOf(command: string, outcome: Outcome): string {
  return `${command}: ${outcome}`;
}
