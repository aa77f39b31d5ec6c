/** A passphrase: typed at a terminal and not shown, or the first line of stdin. */
import type { ReadStream } from 'node:tty';
import { BrokerError, invalid } from '../domain/errors.ts';
import type { Context } from './context.ts';
import { readRaw } from './raw-terminal.ts';
import { readText } from './stdin.ts';

const longest = 4096;

/** @param again ask for it twice: nobody sees what was typed. @throws BrokerError `invalid` for none or for two that differ, `cancelled` when the person gave up */
export async function readPassphrase(context: Context, again: boolean): Promise<string> {
  const { host } = context;
  if (host.readSecret === undefined) {
    const [line = ''] = (await readText(host.stdin, longest)).split(/\r?\n/, 1);
    if (line === '') throw invalid('the passphrase is missing', 'at a terminal it is asked for; elsewhere it is the first line of stdin: … < passphrase-file');
    return line;
  }
  const first = await ask(context, 'Passphrase: ');
  if (again && (await ask(context, 'Once more: ')) !== first) throw invalid('the two are not the same', 'nothing was done');
  return first;
}

async function ask({ host }: Context, question: string): Promise<string> {
  host.stderr.write(question);
  const typed = await host.readSecret?.(new AbortController().signal);
  host.stderr.write('\n');
  if (typed === undefined) throw new BrokerError('cancelled', 'no passphrase was given', { hint: 'nothing was done' });
  return typed;
}

/** One line from a terminal, with nothing of it shown. Undefined for Ctrl-C, Ctrl-D, or when the terminal is gone. */
export function readSecretLine(terminal: ReadStream, signal: AbortSignal): Promise<string | undefined> {
  let line: readonly string[] = [];
  return readRaw(terminal, signal, (typed) => {
    for (const character of typed) {
      if (character === '\r' || character === '\n') return { text: line.join('') };
      if (character === '\x03' || character === '\x04') return { text: undefined };
      if (character === '\x7f' || character === '\b') line = line.slice(0, -1);
      else if (character === '\x15') line = [];
      else if (character >= ' ') line = [...line, character];
    }
    return undefined;
  });
}
