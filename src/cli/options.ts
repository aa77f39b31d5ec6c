/** Reading of option values: each parser names the option when it refuses. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { parseAddress } from '../domain/address.ts';
import { parseDuration } from '../domain/duration.ts';
import { BrokerError, invalid } from '../domain/errors.ts';
import { parseIdArgument } from '../domain/ids.ts';
import { quoted } from '../domain/text.ts';
import type { PageRequest } from '../domain/records.ts';
import type { Context } from './context.ts';

/** Makes `action` what `command` does. */
export type Register = (command: Command, action: Action) => void;
export type Action = (context: Context, args: readonly string[], options: OptionValues) => Promise<number>;

export type OptionValues = Readonly<Record<string, unknown>>;

const defaultLimit = 100;
const maxLimit = 1000;

export function duration(flags: string, description: string): Option {
  return parsed(flags, description, parseDuration);
}

/** An option whose value `parse` reads; a BrokerError of `parse` gets the option's name in front. */
export function parsed<Value>(flags: string, description: string, parse: (text: string) => Value): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => naming(option.long ?? flags, () => parse(text)));
}

/** May be given several times. */
export function repeated(flags: string, description: string, check: (text: string) => string = (text) => text): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), naming(option.long ?? flags, () => check(text))]);
}

/** Not in commander's own place: its help would name them a second time. */
const choicesByOption = new WeakMap<Option, readonly string[]>();

export function choice(flags: string, description: string, choices: readonly string[]): Option {
  const option = parsed(flags, `${description} (${choices.join(', ')})`, (text) => {
    if (choices.includes(text)) return text;
    throw invalid(`${quoted(text)} is none of ${choices.join(', ')}`);
  });
  choicesByOption.set(option, choices);
  return option;
}

/** Empty: of any kind. */
export function choicesOf(option: Option): readonly string[] {
  return choicesByOption.get(option) ?? [];
}

function naming<Value>(flag: string, read: () => Value): Value {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof BrokerError)) throw thrown;
    throw new BrokerError(thrown.code, `${flag}: ${thrown.message}`, thrown);
  }
}

export function addPaging(command: Command): Command {
  return command
    .addOption(parsed('--limit <n>', `how many at most, 1 to ${maxLimit} (${defaultLimit} by default)`, wholeNumber(1, maxLimit)))
    .option('--after <cursor>', 'go on behind the page that gave this cursor as next');
}

export function pageOf(options: OptionValues): PageRequest {
  const after = text(options, 'after');
  return { limit: (options['limit'] as number | undefined) ?? defaultLimit, ...(after === undefined ? {} : { after }) };
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (given) => {
    const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw invalid(`${quoted(given)} is not a whole number from ${least} to ${most}`);
  };
}

/**
 * An empty one is most often a variable that was never set: taken for left out, `--for "$WHO"` would let a machine in as one's own.
 * @throws BrokerError `invalid` when it is given empty
 */
export function text(options: OptionValues, name: string): string | undefined {
  const given = options[name] as string | undefined;
  if (given === '') throw invalid(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is given and empty`, 'give it a value, or leave it out');
  return given;
}

export function flag(options: OptionValues, name: string): boolean {
  return options[name] === true;
}

export function list(options: OptionValues, name: string): readonly string[] {
  return (options[name] as readonly string[] | undefined) ?? [];
}

export function number(options: OptionValues, name: string): number | undefined {
  return options[name] as number | undefined;
}

const key = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

/** `k=v`, as a check for `repeated`. */
export function checkLabel(given: string): string {
  const at = given.indexOf('=');
  if (at > 0 && key.test(given.slice(0, at))) return given;
  throw invalid(`${quoted(given)} is not a label`, 'a label looks like team=web');
}

export function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** Refuses a bad address before any node is asked; `.` is the instance of this directory. */
export function checkAddress(given: string): string {
  if (given !== '.') parseAddress(given);
  return given;
}

export function checkId(given: string): string {
  parseIdArgument(given);
  return given;
}

export function examples(...lines: readonly string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}
