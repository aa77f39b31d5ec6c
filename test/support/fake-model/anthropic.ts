/** Anthropic's Messages API, as far as Claude Code uses it: https://docs.anthropic.com/en/api/messages-streaming */
import type { Piece, Prompt, Schema } from './script.ts';
import { joined, spoken } from './text.ts';
import type { EventSink } from './server-sent.ts';

interface Block {
  readonly type: string;
  readonly text?: string;
  readonly content?: string | readonly Block[];
}

export interface MessagesRequest {
  readonly model?: string;
  readonly stream?: boolean;
  readonly system?: string | readonly Block[];
  readonly tools?: readonly { readonly name?: string; readonly input_schema?: { readonly properties?: object } }[];
  readonly output_config?: { readonly format?: { readonly schema?: Schema } };
  readonly messages?: readonly { readonly role: string; readonly content: string | readonly Block[] }[];
}

export function readMessages(body: MessagesRequest): Prompt {
  const users: string[] = [];
  let results: string[] = [];
  for (const { role, content } of body.messages ?? []) {
    if (role !== 'user') continue;
    const blocks = blocksOf(content);
    const answered = blocks.filter(({ type }) => type === 'tool_result');
    results.push(...answered.map((block) => joined(blocksOf(block.content ?? '').map(({ text }) => text))));
    const said = spoken(blocks.map(({ text }) => text));
    if (answered.length > 0 || said === undefined) continue;
    users.push(said);
    results = [];
  }
  const tools = (body.tools ?? []).map(({ name = '', input_schema }) => ({ name, freeform: false, parameters: Object.keys(input_schema?.properties ?? {}) }));
  return { wire: 'anthropic', model: body.model ?? '', system: joined(blocksOf(body.system ?? '').map(({ text }) => text)), users, results, tools, schema: body.output_config?.format?.schema };
}

function blocksOf(content: string | readonly Block[]): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

interface Answer {
  readonly id: string;
  readonly model: string;
}

/** The answer as events, each piece sent as soon as the script gives it. */
export async function streamMessage(pieces: AsyncIterable<Piece>, { id, model }: Answer, sink: EventSink): Promise<void> {
  const send = (type: string, data: object): void => sink.send({ type, ...data }, type);
  const message = { id: `msg_${id}`, type: 'message', role: 'assistant', model, content: [], stop_reason: null, stop_sequence: null };
  send('message_start', { message: { ...message, usage: { input_tokens: 120, output_tokens: 1 } } });
  let index = -1;
  let open: 'text' | 'thinking' | undefined;
  let reason = 'end_turn';
  let tokens = 0;
  const close = (): void => {
    if (open !== undefined) send('content_block_stop', { index });
    open = undefined;
  };
  const begin = (type: 'text' | 'thinking', block: object): void => {
    if (open === type) return;
    close();
    send('content_block_start', { index: ++index, content_block: { type, ...block } });
    open = type;
  };
  for await (const piece of pieces) {
    tokens += 10;
    if ('text' in piece) {
      begin('text', { text: '' });
      send('content_block_delta', { index, delta: { type: 'text_delta', text: piece.text } });
    } else if ('thought' in piece) {
      begin('thinking', { thinking: '', signature: '' });
      send('content_block_delta', { index, delta: { type: 'thinking_delta', thinking: piece.thought } });
    } else {
      close();
      send('content_block_start', { index: ++index, content_block: { type: 'tool_use', id: `toolu_${id}_${index}`, name: piece.tool, input: {} } });
      send('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: JSON.stringify(piece.input) } });
      send('content_block_stop', { index });
      reason = 'tool_use';
    }
  }
  close();
  send('message_delta', { delta: { stop_reason: reason, stop_sequence: null }, usage: { output_tokens: tokens } });
  send('message_stop', {});
}

/** The same answer in one document, for a request without `stream`. */
export async function wholeMessage(pieces: AsyncIterable<Piece>, { id, model }: Answer): Promise<object> {
  const content: object[] = [];
  for await (const piece of pieces) {
    if ('text' in piece) content.push({ type: 'text', text: piece.text });
    else if ('tool' in piece) content.push({ type: 'tool_use', id: `toolu_${id}_${content.length}`, name: piece.tool, input: piece.input });
  }
  const reason = content.some((block) => 'name' in block) ? 'tool_use' : 'end_turn';
  return { id: `msg_${id}`, type: 'message', role: 'assistant', model, content, stop_reason: reason, stop_sequence: null, usage: { input_tokens: 120, output_tokens: 10 } };
}
