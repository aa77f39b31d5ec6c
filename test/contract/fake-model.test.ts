/** The fake model keeps the promises that the tests of real agents rely on, in each of its four protocols. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeModel } from '../support/fake-model/server.ts';
import { waitFor } from '../support/wait-for.ts';

/** How an agent of one protocol speaks. */
interface Dialect {
  readonly path: string;
  /** The body of a request: what was said so far, and at the end what the last tool answered, if one did. */
  readonly body: (users: readonly string[], result?: string) => object;
  /** The text in one event of the stream. */
  readonly text: (event: any) => string | undefined;
  /** The call of a tool in one event. */
  readonly call: (event: any) => { readonly name: string; readonly input: unknown } | undefined;
  readonly last: (event: any) => boolean;
}

const context = '<environment>put there by the agent</environment>';

const dialects: Record<string, Dialect> = {
  'Anthropic Messages': {
    path: '/v1/messages',
    body: (users, result) => ({
      model: 'm',
      stream: true,
      tools: [{ name: 'Bash' }, { name: 'Write' }],
      messages: [
        ...users.map((text) => ({ role: 'user', content: [{ type: 'text', text: context }, { type: 'text', text }] })),
        ...(result === undefined ? [] : [{ role: 'user', content: [{ type: 'tool_result', content: result }, { type: 'text', text: context }] }]),
      ],
    }),
    text: (event) => event.delta?.text,
    call: (event) => (event.content_block?.type === 'tool_use' ? { name: event.content_block.name, input: undefined } : undefined),
    last: (event) => event.type === 'message_stop',
  },
  'OpenAI Responses': {
    path: '/v1/responses',
    body: (users, result) => ({
      model: 'm',
      tools: [{ type: 'function', name: 'exec_command' }, { type: 'custom', name: 'apply_patch' }],
      input: [
        { role: 'user', content: [{ type: 'input_text', text: context }] },
        ...users.map((text) => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] })),
        ...(result === undefined ? [] : [{ type: 'function_call_output', output: result }]),
      ],
    }),
    text: (event) => event.delta,
    call: (event) => (event.type === 'response.output_item.done' && event.item.name !== undefined ? { name: event.item.name, input: JSON.parse(event.item.arguments) } : undefined),
    last: (event) => event.type === 'response.completed',
  },
  'OpenAI Chat Completions': {
    path: '/v1/chat/completions',
    body: (users, result) => ({
      model: 'm',
      tools: [{ function: { name: 'bash' } }, { function: { name: 'write' } }],
      messages: [...users.map((content) => ({ role: 'user', content })), ...(result === undefined ? [] : [{ role: 'tool', content: result }])],
    }),
    text: (event) => event.choices[0]?.delta.content,
    call: (event) => {
      const call = event.choices[0]?.delta.tool_calls?.[0].function;
      return call === undefined ? undefined : { name: call.name, input: JSON.parse(call.arguments) };
    },
    last: (event) => event.usage !== undefined,
  },
  'Gemini': {
    path: '/v1beta/models/m:streamGenerateContent?alt=sse',
    body: (users, result) => ({
      tools: [{ functionDeclarations: [{ name: 'run_shell_command' }, { name: 'write_file' }] }],
      contents: [
        ...users.map((text) => ({ role: 'user', parts: [{ text: context }, { text }] })),
        ...(result === undefined ? [] : [{ role: 'user', parts: [{ functionResponse: { response: result } }] }]),
      ],
    }),
    text: (event) => event.candidates[0].content.parts[0].text,
    call: (event) => {
      const call = event.candidates[0].content.parts[0].functionCall;
      return call === undefined ? undefined : { name: call.name, input: call.args };
    },
    last: (event) => event.candidates[0].finishReason === 'STOP',
  },
};

let model: FakeModel;
beforeEach(async () => {
  model = await FakeModel.start();
});
afterEach(() => model[Symbol.asyncDispose]());

const post = (path: string, body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(new URL(path, model.url), { method: 'POST', body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }) });

/** Calls back with each event as it comes; resolves with all. */
async function events(response: Response, seen: (event: any) => void = () => undefined): Promise<any[]> {
  const all: any[] = [];
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1] ?? '';
      if (data === '[DONE]') continue;
      all.push(JSON.parse(data));
      seen(all.at(-1));
    }
  }
  return all;
}

describe.each(Object.entries(dialects))('the fake model, in %s', (_name, { path, body, text, call, last }) => {
  const ask = async (users: readonly string[], result?: string): Promise<any[]> => events(await post(path, body(users, result)));
  const textOf = (all: any[]): string => all.map(text).join('');

  test('streams a text in the pieces of the script and ends the message', async () => {
    const all = await ask(['say one |two |three']);
    expect(all.map(text).filter(Boolean)).toEqual(['one ', 'two ', 'three']);
    expect(last(all.at(-1))).toBe(true);
    expect(model.asked).toMatchObject([{ state: 'answered', prompt: { users: ['say one |two |three'] } }]);
  });

  test('waits at a gate with the first piece sent, and goes on when the test opens it', async () => {
    const seen: any[] = [];
    const whole = events(await post(path, body(['hold A'])), (event) => seen.push(event));
    await waitFor('the first piece', () => textOf(seen) === 'holding A\n');
    expect(model.gates.waiting('A')).toBe(1);
    model.gates.open('A');
    expect(textOf(await whole)).toBe('holding A\nA went on');
  });

  test('knows when the agent hangs up in the middle', async () => {
    const leaving = new AbortController();
    const whole = events(await post(path, body(['hold A']), leaving.signal));
    await waitFor('the answer to wait', () => model.gates.waiting('A') === 1);
    leaving.abort();
    await expect(whole).rejects.toThrow(/abort/);
    await waitFor('the end', () => model.asked[0]?.state === 'aborted');
    expect(model.gates.waiting('A')).toBe(0);
  });

  test('calls the tool of this agent that runs commands, and closes with its result', async () => {
    const calls = (await ask(['run echo hi'])).map(call).filter((each) => each !== undefined);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.name).toMatch(/Bash|exec_command|bash|run_shell_command/);
    if (calls[0]?.input !== undefined) expect(JSON.stringify(calls[0].input)).toContain('echo hi');
    expect(textOf(await ask(['run echo hi'], 'hi'))).toMatch(/^ran: "?hi"?$/);
  });

  test('tells how much of the conversation it was shown, without the context that agents add', async () => {
    expect(textOf(await ask(['say one', 'recall']))).toBe('you spoke 2 times, first: say one');
  });
});

describe('the fake model', () => {
  test('calls apply_patch with a text where it is a custom tool, and with an object where it is a function', async () => {
    const input = [{ role: 'user', content: 'write a.txt two\nlines' }];
    const [custom, plain] = await Promise.all(['custom', 'function'].map(async (type) => events(await post('/v1/responses', { input, tools: [{ type, name: 'apply_patch' }] }))));
    const itemOf = (all: any[] | undefined): any => all?.find(({ type }) => type === 'response.output_item.done')?.item;
    const patch = '*** Begin Patch\n*** Add File: a.txt\n+two\n+lines\n*** End Patch\n';
    expect(itemOf(custom)).toMatchObject({ type: 'custom_tool_call', input: patch });
    expect(JSON.parse(itemOf(plain).arguments)).toEqual({ input: patch });
  });

  test('answers a side job without tools as its schema wants it', async () => {
    const schema = { type: 'object', properties: { title: { type: 'string' }, score: { type: 'integer' }, kind: { enum: ['x', 'y'] } } };
    const response = await post('/v1/messages', { messages: [{ role: 'user', content: 'a title, please' }], output_config: { format: { schema } } });
    const { content } = (await response.json()) as any;
    expect(JSON.parse(content[0].text)).toEqual({ title: 'ok', score: 1, kind: 'x' });
    expect(model.turns).toEqual([]);
  });

  test('answers token counts and lists of models, and remembers what it does not know', async () => {
    expect(await (await post('/v1/messages/count_tokens', {})).json()).toEqual({ input_tokens: 1 });
    expect((await fetch(`${model.url}/v1/models`)).status).toBe(200);
    expect((await fetch(`${model.url}/v1/elsewhere`)).status).toBe(404);
    expect(model.strays).toEqual(['GET /v1/elsewhere']);
  });

  test('says in the answer why a script can not go on', async () => {
    const response = await post('/v1/messages', { stream: true, tools: [{ name: 'Read' }], messages: [{ role: 'user', content: 'run ls' }] });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('no tool that runs a command among Read');
    expect(model.asked).toMatchObject([{ state: 'failed' }]);
  });
});
