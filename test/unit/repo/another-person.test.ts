/** What README says another person reaches, what the system test tries, and what the program has: the same commands. */
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { attempts, lastAttempts } from '../../support/attempts.ts';
import { CliProcess } from '../../support/cli-host.ts';
import { pairOf, toldInReadme } from '../../support/outcome-table.ts';

const tried = [...attempts, ...lastAttempts];
const sorted = (words: readonly string[]): string[] => [...new Set(words)].toSorted();

test('every command of the program is tried against another person’s agents', () => {
  const { host } = new CliProcess({ socketPath: '/nowhere/control.sock' });
  const program = buildProgram({ host, out: new Output(host, false), behindDashes: [] }, () => undefined);
  const commands = leaves(program, []).map((words) => words.join(' ')).filter((command) => command !== '__complete');
  expect(sorted(tried.map(({ command }) => command))).toEqual(sorted(commands));
});

test('what is said to come of each is what README says', () => {
  expect(sorted(tried.map(({ command, outcome }) => pairOf(command, outcome)))).toEqual(toldInReadme());
});

function leaves(command: Command, words: readonly string[]): readonly (readonly string[])[] {
  if (command.commands.length === 0) return [words];
  return command.commands.flatMap((each) => leaves(each, [...words, each.name()]));
}
