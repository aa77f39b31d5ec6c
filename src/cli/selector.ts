/** The flags that choose among several agents. */
import type { Command } from 'commander';
import type { Selector } from '../client/types.ts';
import type { Context } from './context.ts';
import { checkLabel, flag, labelsOf, list, repeated, text } from './options.ts';
import type { OptionValues } from './options.ts';

export function addSelectors(command: Command, { all }: { readonly all: boolean }): Command {
  if (all) command.option('--all', 'all that match, as one group');
  return command
    .option('--any', 'of several, the best: live, here, least busy, nearest')
    .option('--any-owner', "search other people's nodes, too")
    .option('--harness <h>', 'only agents of this harness')
    .addOption(repeated('--cap <c>', 'only agents that can do this'))
    .addOption(repeated('--label <k=v>', 'only agents with this label', checkLabel));
}

export function selectorOf({ host }: Context, address: string, options: OptionValues): Selector {
  const harness = text(options, 'harness');
  return {
    address,
    any: flag(options, 'any'),
    all: flag(options, 'all'),
    anyOwner: flag(options, 'anyOwner'),
    capabilities: list(options, 'cap'),
    labels: labelsOf(list(options, 'label')),
    cwd: host.cwd,
    ...(harness === undefined ? {} : { harness }),
  };
}
