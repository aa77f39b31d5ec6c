/** OpenAI's Responses API, as far as Codex uses it: https://platform.openai.com/docs/api-reference/responses-streaming */
import type { Piece, Prompt } from './script.ts';
import { joined, spoken } from './text.ts';
import type { EventSink } from './server-sent.ts';

interface Item {
  readonly type?: string;
  readonly role?: string;
  readonly content?: string | readonly { readonly text?: string }[];
  readonly output?: string | { readonly content?: string } | readonly { readonly text?: string }[];
}

export interface ResponsesRequest {
  readonly model?: string;
  readonly instructions?: string;
  readonly input?: string | readonly Item[];
  readonly tools?: readonly { readonly type: string; readonly name?: string; readonly parameters?: { readonly properties?: object } }[];
}

export function readResponses(body: ResponsesRequest): Prompt {
  const users: string[] = [];
  let results: string[] = [];
  const items: readonly Item[] = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : (body.input ?? []);
  for (const item of items) {
    if (item.type === 'function_call_output' || item.type === 'custom_tool_call_output') results.push(outputText(item.output));
    if (item.role !== 'user') continue;
    const said = spoken(partsOf(item.content).map(({ text }) => text));
    if (said === undefined) continue;
    users.push(said);
    results = [];
  }
  const tools = (body.tools ?? []).map(({ type, name = type, parameters }) => ({ name, freeform: type === 'custom', parameters: Object.keys(parameters?.properties ?? {}) }));
  return { wire: 'responses', model: body.model ?? '', system: body.instructions ?? '', users, results, tools, schema: undefined };
}

function partsOf(content: Item['content']): readonly { readonly text?: string }[] {
  return typeof content === 'string' ? [{ text: content }] : (content ?? []);
}

function outputText(output: Item['output']): string {
  if (typeof output === 'string') return output;
  if (output === undefined) return '';
  return 'content' in output ? (output.content ?? '') : joined(partsOf(output as readonly { readonly text?: string }[]).map(({ text }) => text));
}

export async function streamResponse(pieces: AsyncIterable<Piece>, { id, model, tools }: { readonly id: string; readonly model: string; readonly tools: Prompt['tools'] }, sink: EventSink): Promise<void> {
  const send = (type: string, data: object): void => sink.send({ type, ...data }, type);
  const response = { id: `resp_${id}`, object: 'response', model, status: 'in_progress', output: [] };
  send('response.created', { response });
  let index = -1;
  let text: string | undefined;
  const itemId = (): string => `item_${id}_${index}`;
  const message = (status: string): object => ({ type: 'message', id: itemId(), role: 'assistant', status, content: status === 'completed' ? [{ type: 'output_text', text, annotations: [] }] : [] });
  const close = (): void => {
    if (text === undefined) return;
    send('response.output_item.done', { output_index: index, item: message('completed') });
    text = undefined;
  };
  let tokens = 0;
  for await (const piece of pieces) {
    tokens += 10;
    if ('text' in piece) {
      if (text === undefined) {
        index += 1;
        text = '';
        send('response.output_item.added', { output_index: index, item: message('in_progress') });
      }
      text += piece.text;
      send('response.output_text.delta', { output_index: index, content_index: 0, item_id: itemId(), delta: piece.text });
    } else if ('tool' in piece) {
      close();
      index += 1;
      const freeform = tools.find(({ name }) => name === piece.tool)?.freeform === true;
      const call = { id: itemId(), call_id: `call_${id}_${index}`, name: piece.tool, status: 'completed' };
      const item = freeform ? { type: 'custom_tool_call', ...call, input: piece.input } : { type: 'function_call', ...call, arguments: JSON.stringify(piece.input) };
      send('response.output_item.added', { output_index: index, item });
      send('response.output_item.done', { output_index: index, item });
    }
  }
  close();
  const usage = { input_tokens: 120, input_tokens_details: { cached_tokens: 0 }, output_tokens: tokens, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 120 + tokens };
  send('response.completed', { response: { ...response, status: 'completed', usage } });
}
