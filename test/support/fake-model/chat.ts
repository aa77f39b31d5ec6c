/** OpenAI's Chat Completions, which OpenCode speaks to a provider of its config: https://platform.openai.com/docs/api-reference/chat-streaming */
import type { Piece, Prompt } from './script.ts';
import { joined, spoken } from './text.ts';
import type { EventSink } from './server-sent.ts';

interface Message {
  readonly role: string;
  readonly content?: string | readonly { readonly text?: string }[] | null;
}

export interface ChatRequest {
  readonly model?: string;
  readonly messages?: readonly Message[];
  readonly tools?: readonly { readonly function?: { readonly name?: string; readonly parameters?: { readonly properties?: object } } }[];
}

export function readChat(body: ChatRequest): Prompt {
  const users: string[] = [];
  let results: string[] = [];
  const system: string[] = [];
  for (const { role, content } of body.messages ?? []) {
    const parts = typeof content === 'string' ? [content] : (content ?? []).map(({ text }) => text);
    if (role === 'system') system.push(joined(parts));
    if (role === 'tool') results.push(joined(parts));
    const said = role === 'user' ? spoken(parts) : undefined;
    if (said === undefined) continue;
    users.push(said);
    results = [];
  }
  const tools = (body.tools ?? []).map((tool) => ({ name: tool.function?.name ?? '', freeform: false, parameters: Object.keys(tool.function?.parameters?.properties ?? {}) }));
  return { wire: 'chat', model: body.model ?? '', system: joined(system), users, results, tools, schema: undefined };
}

export async function streamChat(pieces: AsyncIterable<Piece>, { id, model }: { readonly id: string; readonly model: string }, sink: EventSink): Promise<void> {
  const send = (delta: object, reason: string | null = null): void =>
    sink.send({ id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created: 0, model, choices: [{ index: 0, delta, finish_reason: reason }] });
  send({ role: 'assistant', content: '' });
  let calls = 0;
  for await (const piece of pieces) {
    if ('text' in piece) send({ content: piece.text });
    else if ('tool' in piece) {
      send({ tool_calls: [{ index: calls, id: `call_${id}_${calls}`, type: 'function', function: { name: piece.tool, arguments: JSON.stringify(piece.input) } }] });
      calls += 1;
    }
  }
  send({}, calls > 0 ? 'tool_calls' : 'stop');
  sink.send({ id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created: 0, model, choices: [], usage: { prompt_tokens: 120, completion_tokens: 10, total_tokens: 130 } });
}
