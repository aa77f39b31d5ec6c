/** A task as the protocol puts it to an agent: its text, then its files. */
import type { ContentBlock } from '@agentclientprotocol/sdk';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { invalid } from '../../domain/errors.ts';
import type { Task } from '../../domain/invocation.ts';
import { isUtf8 } from '../../domain/text.ts';
import { fileNames } from '../task-files.ts';

/** A text file up to this size goes along with the prompt, where the agent takes it so; others it has to open. */
const mostEmbedded = 64 * 1024;

/**
 * @param directory where `writeTaskFiles` put the task's files
 * @param embeds whether the agent takes the text of files with its prompt
 * @throws BrokerError `invalid` for a text that is not UTF-8
 */
export function promptOf(task: Task, directory: string | undefined, embeds: boolean): ContentBlock[] {
  if (!isUtf8(task.text)) throw invalid('the task is not UTF-8, and this agent takes text only', 'give it as a file: -f FILE');
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(task.text);
  const names = fileNames(task.files.map((file) => file.name));
  const files = task.files.map(({ bytes }, index): ContentBlock => {
    const name = names[index] ?? 'file';
    const uri = pathToFileURL(join(directory ?? '/', name)).href;
    if (embeds && bytes.length <= mostEmbedded && isUtf8(bytes) && !bytes.includes(0)) return { type: 'resource', resource: { uri, text: new TextDecoder().decode(bytes) } };
    return { type: 'resource_link', uri, name, size: bytes.length };
  });
  // An agent may refuse a prompt with nothing in it: a task that is only files still has its text, if an empty one.
  return [{ type: 'text', text }, ...files];
}
