/** `logs`: what the node wrote down, whether it runs or not. */
import type { Command } from 'commander';
import { notFound } from '../domain/errors.ts';
import { logLevels } from '../domain/log-fields.ts';
import type { LogLevel } from '../domain/log-fields.ts';
import { harmlessJson, neutralise } from '../domain/text.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { LetGo } from './let-go.ts';
import { readLogFiles } from './log-files.ts';
import type { TextLine } from './log-files.ts';
import { isAtLeast, readLogLine, showLogLine } from './log-line.ts';
import { choice, examples, flag, number, parsed, text, wholeNumber } from './options.ts';
import type { OptionValues, Register } from './options.ts';

/** Until the files are looked at again. */
const followMs = 250;
/** Lines that `--follow` begins with. */
const usualTail = 10;
const mostLines = 1_000_000;

export function defineLogs(program: Command, on: Register): void {
  on(
    program
      .command('logs')
      .description('Show the log of this machine’s node, the oldest line first, whether it runs or not.')
      .option('-f, --follow', `go on with what is written later, until Ctrl-C; begins with the last ${usualTail} lines`)
      .addOption(choice('--level <level>', 'only lines of that level and above', logLevels))
      .addOption(parsed('-n, --lines <n>', 'only the last ones', wholeNumber(0, mostLines)))
      .addHelpText('after', examples('beckon logs', 'beckon logs -f --level warn', 'beckon logs -n 50', 'beckon logs --json | grep inv_01J9Z6M3')),
    logs,
  );
}

async function logs(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  const follow = flag(options, 'follow');
  const level = (text(options, 'level') ?? 'debug') as LogLevel;
  const tail = number(options, 'lines') ?? (follow ? usualTail : undefined);
  using letGo = new LetGo(context);
  const kept: string[] = [];
  let isTail = tail !== undefined;
  let isFound = false;
  const flush = async (): Promise<void> => {
    isTail = false;
    for (const line of kept.splice(0)) await out.line(line);
  };
  for await (const line of readLogFiles(host.logPath(), { follow, signal: letGo.signal, pause: () => letGo.pause(followMs) })) {
    if (line === undefined) await flush();
    isFound ||= line !== undefined;
    const shown = line === undefined ? undefined : show(context, line, level);
    if (shown === undefined) continue;
    if (!isTail) await out.line(shown);
    else if (kept.push(shown) > (tail ?? 0)) kept.shift();
  }
  await flush();
  if (!isFound && !follow) throw notFound(`there is no log yet: ${host.logPath()}`, 'the node writes it from its first start: beckon up --detach');
  return exitOk;
}

/** With `--json` as it was written. What is no line of a log is shown as it is, as what it is, and has no level. */
function show({ out }: Context, { text: words }: TextLine, level: LogLevel): string | undefined {
  const line = readLogLine(words);
  if (line === undefined) {
    if (level !== 'debug') return undefined;
    return out.isJson ? harmlessJson(JSON.stringify({ type: 'unreadable', at: out.nowIso, text: words })) : out.colours.dim(`(not a whole line) ${neutralise(words)}`);
  }
  if (!isAtLeast(line, level)) return undefined;
  return out.isJson ? harmlessJson(words) : showLogLine(line, out.colours);
}
