/**
 * The script that all tests of agents share: the first word of what the user last said decides.
 *
 * | the user says | the model answers |
 * |---|---|
 * | `say A\|B\|C` | A, B and C, in pieces |
 * | `hold NAME` | `holding NAME`, then waits for the gate, then `NAME went on` |
 * | `flood N` | N lines of 1 KiB, as fast as they are taken |
 * | `run COMMAND` | a call of the shell, and when its result is there `ran: RESULT` |
 * | `write PATH TEXT` | a call of the tool that writes files, then `wrote: RESULT` |
 * | `recall` | how often the user has spoken, and the first words |
 * | anything else | `you said: …` |
 */
import { sampleOf, shellCall, writeCall } from './script.ts';
import type { Piece, Prompt, Stage } from './script.ts';

export async function* conversation(prompt: Prompt, stage: Stage): AsyncGenerator<Piece> {
  const last = prompt.users.at(-1) ?? '';
  // A side job of the agent (a title, a check of the quota) offers no tools.
  if (prompt.tools.length === 0) {
    yield { text: prompt.schema === undefined ? 'ok' : JSON.stringify(sampleOf(prompt.schema)) };
    return;
  }
  const [, verb = '', rest = ''] = /^(\w+)\s*(.*)$/s.exec(last.trim()) ?? [];
  const result = prompt.results.at(-1);
  switch (verb) {
    case 'say':
      for (const text of rest.split('|')) yield { text };
      return;
    case 'hold':
      yield { text: `holding ${rest}\n` };
      await stage.gate(rest);
      yield { text: `${rest} went on` };
      return;
    case 'flood':
      for (let line = 0; line < Number(rest); line += 1) yield { text: `${String(line).padEnd(1023, '.')}\n` };
      return;
    case 'run':
      yield result === undefined ? shellCall(prompt.tools, rest) : { text: `ran: ${result}` };
      return;
    case 'write': {
      const [, path = '', content = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
      yield result === undefined ? writeCall(prompt.tools, path, content) : { text: `wrote: ${result}` };
      return;
    }
    case 'recall':
      yield { text: `you spoke ${prompt.users.length} times, first: ${prompt.users[0]}` };
      return;
    default:
      yield { text: `you said: ${last}` };
  }
}
