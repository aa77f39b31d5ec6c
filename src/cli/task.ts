/** The task: words, stdin, files. */
import { basename } from 'node:path';
import { invalid } from '../domain/errors.ts';
import { checkTaskSize, maxTaskBytes } from '../domain/invocation.ts';
import type { Task, TaskFile } from '../domain/invocation.ts';
import { quoted } from '../domain/text.ts';
import type { Context } from './context.ts';
import { readAll, readFileBounded } from './stdin.ts';

/** @throws BrokerError `invalid` before anything is sent */
export async function readTask({ host }: Context, address: string, words: readonly string[], files: readonly string[]): Promise<Task> {
  const [typed] = words;
  if (words.length > 1) throw invalid('the task is one argument, and these are several', `quote it: beckon invoke ${address} ${shellQuoted(words.join(' '))}`);
  const dashes = files.filter((file) => file === '-').length;
  const isTaskStdin = typed === undefined || typed === '-';
  if (dashes > 1 || (dashes === 1 && isTaskStdin)) {
    throw invalid('stdin can be read only once', `give the task as words: beckon invoke ${address} "what to do with it" -f -`);
  }
  if (typed === undefined && host.tty.stdin) {
    throw invalid('the task is missing', `say what to do: beckon invoke ${address} "run the tests"`);
  }
  const read: TaskFile[] = [];
  for (const file of files) {
    const bytes = file === '-' ? await readAll(host.stdin, maxTaskBytes) : await readFileBounded(file, maxTaskBytes);
    const name = file === '-' ? 'stdin' : basename(file);
    if (read.some((other) => other.name === name)) throw invalid(`two files are called ${quoted(name)}`, 'files of a task are known by their base names: rename one');
    read.push({ name, bytes });
  }
  const task = { text: isTaskStdin ? await readAll(host.stdin, maxTaskBytes, 'the task') : new TextEncoder().encode(typed), files: read };
  checkTaskSize(task);
  return task;
}

function shellQuoted(text: string): string {
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
