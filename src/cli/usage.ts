/** Commander's complaints as errors of ours: one line, no prefix, its suggestion as the hint. */
import type { CommanderError } from 'commander';
import { invalid } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';

export function usageError(thrown: CommanderError): BrokerError {
  if (thrown.code === 'commander.help') return invalid('a command is missing', 'see its commands with --help');
  const [first = '', ...rest] = thrown.message.replace(/^error: /, '').split('\n');
  const suggestion = /Did you mean (.+)\?/.exec(rest.join(' '))?.[1]?.replace(/^one of /, '');
  return invalid(first, suggestion === undefined ? 'every command has --help' : `did you mean ${suggestion}?`);
}
