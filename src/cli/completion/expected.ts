/** What may stand where the cursor is, from the commands as commander knows them. */
import type { Command, Option } from 'commander';
import { choicesOf } from '../options.ts';

/** What only the node, or the shell, can name. */
export type Source = 'agent' | 'node' | 'flight' | 'waitingFlight' | 'delivery' | 'request' | 'harness' | 'label' | 'capability' | 'owner' | 'party' | 'group' | 'file' | 'directory';

export interface Candidate {
  readonly value: string;
  /** For shells that show it; may be empty. */
  readonly about: string;
}

export interface Expected {
  /** Known without asking anybody. */
  readonly candidates: readonly Candidate[];
  readonly source?: Source;
  /** What is put before each value of the source: `--node=`. */
  readonly before?: string;
  /** The arguments that stand before the cursor. */
  readonly args: readonly string[];
}

/** @param words after the program's name; the last one is where the cursor is, and may be empty */
export function expectedAt(program: Command, words: readonly string[]): Expected {
  const current = words.at(-1) ?? '';
  const at = walk(program, words.slice(0, -1));
  const { command, args } = at;
  if (at.isBehindDashes) return { candidates: [], source: 'file', args };
  if (at.wantsValue !== undefined) return { ...valuesOf(at.wantsValue), args };
  if (current.startsWith('-')) {
    const end = current.indexOf('=');
    const option = end < 0 ? undefined : optionOf(command, current.slice(0, end));
    if (option === undefined) return { candidates: flagsOf(command), args };
    const before = current.slice(0, end + 1);
    const { candidates, source } = valuesOf(option);
    return { candidates: candidates.map(({ value, about }) => ({ value: `${before}${value}`, about })), ...(source === undefined ? {} : { source, before }), args };
  }
  const argument = command.registeredArguments[args.length] ?? command.registeredArguments.findLast(({ variadic }) => variadic);
  const source = argument === undefined ? undefined : sourceOf(argument.name(), command);
  return {
    candidates: [...(args.length === 0 ? commandsOf(command) : []), ...(argument?.argChoices ?? []).map((value) => ({ value, about: '' }))],
    ...(source === undefined ? {} : { source }),
    args,
  };
}

interface Place {
  readonly command: Command;
  readonly args: readonly string[];
  /** The option before the cursor has no value yet. */
  readonly wantsValue?: Option;
  readonly isBehindDashes: boolean;
}

function walk(program: Command, words: readonly string[]): Place {
  let command = program;
  let args: string[] = [];
  let wantsValue: Option | undefined;
  for (const word of words) {
    if (wantsValue !== undefined) wantsValue = undefined;
    else if (word === '--') return { command, args, isBehindDashes: true };
    else if (word.startsWith('-') && word !== '-') {
      const option = optionOf(command, word);
      wantsValue = option !== undefined && option.required ? option : undefined;
    } else {
      const found = args.length > 0 ? undefined : command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (found !== undefined) command = found;
      // `help mesh` is about `mesh`.
      else if (word !== 'help' || command !== program) args = [...args, word];
    }
  }
  return { command, args, ...(wantsValue === undefined ? {} : { wantsValue }), isBehindDashes: false };
}

function optionOf(command: Command, flag: string): Option | undefined {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const found = at.options.find(({ long, short }) => flag === long || flag === short);
    if (found !== undefined) return found;
  }
  return undefined;
}

function commandsOf(command: Command): Candidate[] {
  return command.createHelp().visibleCommands(command).map((each) => ({ value: each.name(), about: each.summary() || each.description() }));
}

function flagsOf(command: Command): Candidate[] {
  const help = command.createHelp();
  const all = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const candidates = all.map(({ long, short, description }) => ({ value: long ?? short ?? '', about: description }));
  return candidates.filter(({ value }, index) => candidates.findIndex((each) => each.value === value) === index);
}

function valuesOf(option: Option): { readonly candidates: readonly Candidate[]; readonly source?: Source } {
  const choices = choicesOf(option);
  if (choices.length > 0) return { candidates: choices.map((value) => ({ value, about: '' })) };
  const source = sourceOf(/<([^>]*)>/.exec(option.flags)?.[1] ?? '', undefined);
  return { candidates: [], ...(source === undefined ? {} : { source }) };
}

/** By what the command's own help calls it. */
const sources: Readonly<Record<string, Source>> = {
  address: 'agent',
  pattern: 'agent',
  node: 'node',
  id: 'flight',
  invocation: 'flight',
  request: 'request',
  h: 'harness',
  'k=v': 'label',
  c: 'capability',
  person: 'owner',
  'person|node': 'party',
  group: 'group',
  file: 'file',
  dir: 'directory',
};

function sourceOf(name: string, command: Command | undefined): Source | undefined {
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (source !== 'flight' || command === undefined) return source;
  if (command.parent?.name() === 'delivery') return 'delivery';
  return command.registeredArguments.some((each) => each.name() === 'request') || command.name() === 'reply' ? 'waitingFlight' : 'flight';
}
