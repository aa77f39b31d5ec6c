/** Completion for shells: the script that each wants, and the answers that it asks for. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { BrokerError } from '../../domain/errors.ts';
import { within } from '../../domain/pause.ts';
import { withNode } from '../context.ts';
import type { Context } from '../context.ts';
import { exitOk } from '../exit.ts';
import { examples } from '../options.ts';
import type { Register } from '../options.ts';
import { forBash, splitLine } from './command-line.ts';
import { expectedAt } from './expected.ts';
import type { Candidate, Expected } from './expected.ts';
import { scripts, shells } from './scripts.ts';
import type { Shell } from './scripts.ts';
import { candidatesOf, line } from './sources.ts';

/** A person waits for a key to do something: a node that does not answer by then is left out. */
const patienceMs = 1_500;

export function defineCompletion(program: Command, on: Register): void {
  on(
    program
      .command('completion')
      .addArgument(new Argument('<shell>', 'whose script to print').choices(shells))
      .description('Print what makes a shell complete commands, flags, addresses and ids.')
      .addHelpText('after', examples('eval "$(beckon completion bash)"', 'eval "$(beckon completion zsh)"', 'beckon completion fish | source')),
    async ({ out }, [shell]) => {
      const text = scripts[shell as Shell];
      if (out.isJson) await out.json({ shell, script: text });
      else await out.write(text);
      return exitOk;
    },
  );
  on(
    program.command('__complete', { hidden: true }).argument('<shell>').argument('[words...]'),
    async (context, [shell = '', ...words]) => await complete(context, program, shell, words),
  );
}

/** Says nothing rather than what is wrong: the person is in the middle of a line. */
async function complete(context: Context, program: Command, shell: string, given: readonly string[]): Promise<number> {
  const { out } = context;
  const [breaks = '', text = ''] = given;
  const typed = shell === 'bash' ? splitLine(text) : { words: unquoted(shell, given), raw: '' };
  const current = typed.words.at(-1) ?? '';
  const expected = expectedAt(program, typed.words);
  if (expected.source === 'file') await out.line(':files');
  if (expected.source === 'directory') await out.line(':directories');
  const candidates = [...expected.candidates, ...(await asked(context, expected, current))].filter(({ value }) => value.startsWith(current));
  if (shell === 'bash') for (const value of forBash(candidates.map((each) => each.value), typed, breaks)) await out.line(value);
  else for (const { value, about } of candidates) await out.line(about === '' ? value : `${value}\t${line(about)}`);
  return exitOk;
}

async function asked(context: Context, { source, before = '', args }: Expected, current: string): Promise<Candidate[]> {
  if (source === undefined || source === 'file' || source === 'directory') return [];
  const { clock } = context.host;
  const found = withNode(context, (client) => candidatesOf(source, { client, nowMs: clock.now(), current: current.slice(before.length), args })).catch(nothing);
  return ((await within(clock, patienceMs, found)) ?? []).map(({ value, about }) => ({ value: `${before}${value}`, about }));
}

/** No node, or one that does not answer this. */
function nothing(thrown: unknown): Candidate[] {
  if (thrown instanceof BrokerError) return [];
  throw thrown;
}

/** fish hands over the word at the cursor as typed, with a quote that may be open, and variables that are set before the command. */
function unquoted(shell: string, words: readonly string[]): readonly string[] {
  return shell === 'fish' ? words.map((word, index) => (index === words.length - 1 ? word.replace(/^['"]/, '').replaceAll(/\\(.)/g, '$1') : word)) : words;
}
