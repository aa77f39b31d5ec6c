/** From an endpoint's argv and a task to the arguments of one run. Nothing is ever put together for a shell. */
import { invalid } from '../domain/errors.ts';
import type { Endpoint, Task } from '../domain/invocation.ts';
import { isUtf8 } from '../domain/text.ts';

/** Stands for the task where it is a whole argument; anywhere else it is text like any other. */
export const taskPlaceholder = '{task}';

/** Linux: MAX_ARG_STRLEN is 32 pages with the final NUL (execve(2)). Kept elsewhere too, so that a task runs on every machine. */
export const longestArgumentBytes = 128 * 1024 - 1;

const readStdin = 'let the command read its task from stdin: add the agent without {task}';

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the task stands among `args`; stdin is empty then. */
  readonly hasTask: boolean;
}

/**
 * The program's own name is never replaced: what is asked must not choose what is run.
 * @throws BrokerError `invalid` when there is no command, or the task can't be an argument
 */
export function commandLine(endpoint: Pick<Endpoint, 'argv'>, task: Task): CommandLine {
  const [command, ...rest] = endpoint.argv;
  if (command === undefined || command === '') throw invalid('the agent has no command', 'add it again with one: beckon agent add NAME -- COMMAND');
  if (endpoint.argv.some((argument) => argument.includes('\0'))) throw invalid('the agent’s command has a NUL byte in an argument', 'add the agent again without it');
  if (!rest.includes(taskPlaceholder)) return { command, args: rest, hasTask: false };
  const text = asArgument(task.text);
  return { command, args: rest.map((argument) => (argument === taskPlaceholder ? text : argument)), hasTask: true };
}

function asArgument(text: Uint8Array): string {
  if (text.length > longestArgumentBytes)
    throw invalid(`the task has ${text.length} bytes, and one argument of a command holds at most ${longestArgumentBytes}`, readStdin);
  if (text.includes(0)) throw invalid('the task has a NUL byte, which no argument of a command can hold', readStdin);
  if (!isUtf8(text)) throw invalid('the task is not UTF-8, so it can’t be an argument of a command', readStdin);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(text);
}
