/** Google's Gemini API, as far as Gemini CLI uses it: https://ai.google.dev/api/generate-content */
import type { Piece, Prompt, Schema } from './script.ts';
import { joined, spoken } from './text.ts';

interface Part {
  readonly text?: string;
  readonly functionResponse?: { readonly response?: unknown };
}

export interface GenerateRequest {
  readonly systemInstruction?: { readonly parts?: readonly Part[] };
  readonly generationConfig?: { readonly responseJsonSchema?: Schema };
  readonly contents?: readonly { readonly role?: string; readonly parts?: readonly Part[] }[];
  readonly tools?: readonly { readonly functionDeclarations?: readonly { readonly name?: string; readonly parametersJsonSchema?: { readonly properties?: object } }[] }[];
}

export function readGenerate(body: GenerateRequest, model: string): Prompt {
  const users: string[] = [];
  let results: string[] = [];
  for (const { role, parts = [] } of body.contents ?? []) {
    if (role !== 'user') continue;
    const answered = parts.flatMap(({ functionResponse }) => (functionResponse === undefined ? [] : [functionResponse.response]));
    results.push(...answered.map((response) => JSON.stringify(response)));
    const said = spoken(parts.map(({ text }) => text));
    if (answered.length > 0 || said === undefined) continue;
    users.push(said);
    results = [];
  }
  const tools = (body.tools ?? [])
    .flatMap(({ functionDeclarations = [] }) => functionDeclarations)
    .map(({ name = '', parametersJsonSchema }) => ({ name, freeform: false, parameters: Object.keys(parametersJsonSchema?.properties ?? {}) }));
  return { wire: 'gemini', model, system: joined((body.systemInstruction?.parts ?? []).map(({ text }) => text)), users, results, tools, schema: body.generationConfig?.responseJsonSchema };
}

/** Each piece as the document that the API sends for it, and a last one with the reason. */
export async function* candidates(pieces: AsyncIterable<Piece>, model: string): AsyncGenerator<object> {
  let tokens = 0;
  for await (const piece of pieces) {
    tokens += 10;
    const part = 'text' in piece ? { text: piece.text } : 'thought' in piece ? { text: piece.thought, thought: true } : { functionCall: { name: piece.tool, args: piece.input } };
    yield { candidates: [{ content: { role: 'model', parts: [part] }, index: 0 }], modelVersion: model };
  }
  const usageMetadata = { promptTokenCount: 120, candidatesTokenCount: tokens, totalTokenCount: 120 + tokens };
  yield { candidates: [{ content: { role: 'model', parts: [{ text: '' }] }, finishReason: 'STOP', index: 0 }], usageMetadata, modelVersion: model };
}
