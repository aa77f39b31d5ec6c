/** Questions that an agent asks in the course of a turn (the protocol's elicitation): each field of its form is asked for by itself. */
import * as z from 'zod';
import type { Answer, Ask } from '../../domain/request.ts';

/** Of one form; one with more is declined. */
const mostFields = 16;
/** Asked again after an answer that does not fit, before the form is declined. */
const mostTries = 3;

const option = z.object({ const: z.string(), title: z.string() });
const choices = { enum: z.array(z.string()).nullish(), oneOf: z.array(option).nullish(), anyOf: z.array(option).nullish() };
const field = z.object({
  type: z.string(),
  title: z.string().nullish(),
  description: z.string().nullish(),
  ...choices,
  items: z.object(choices).nullish(),
});

export const elicitation = z.object({
  sessionId: z.string().optional(),
  mode: z.string(),
  message: z.string(),
  requestedSchema: z.object({ properties: z.record(z.string(), field).optional(), required: z.array(z.string()).nullish() }).optional(),
});

type Field = z.infer<typeof field>;
type Value = string | number | boolean | string[];
export type Elicited = { readonly action: 'accept'; readonly content: Record<string, Value> } | { readonly action: 'decline' } | { readonly action: 'cancel' };

/** @param ask as `RunSink.ask` does. Never rejects if it does not. */
export async function elicit(request: z.infer<typeof elicitation>, ask: (ask: Ask) => Promise<Answer>): Promise<Elicited> {
  const fields = Object.entries(request.requestedSchema?.properties ?? {});
  // A page to open is of no use to people at another machine.
  if (request.mode !== 'form' || fields.length > mostFields) return { action: 'decline' };
  if (fields.length === 0) return confirmed(await ask({ reason: 'approval', prompt: request.message, choices: [] }));
  const content = new Map<string, Value>();
  for (const [index, [name, each]] of fields.entries()) {
    const isRequired = request.requestedSchema?.required?.includes(name) ?? false;
    const got = await answerTo(index === 0 ? request.message : '', name, each, isRequired, ask);
    if (got === 'decline' || got === 'cancel') return { action: got };
    if (got !== undefined) content.set(name, got.value);
  }
  return { action: 'accept', content: Object.fromEntries(content) };
}

function confirmed(answer: Answer): Elicited {
  if (answer.kind === 'approved') return { action: 'accept', content: {} };
  return { action: answer.kind === 'ended' ? 'cancel' : 'decline' };
}

async function answerTo(message: string, name: string, each: Field, isRequired: boolean, ask: (ask: Ask) => Promise<Answer>): Promise<{ value: Value } | undefined | 'decline' | 'cancel'> {
  const prompt = [message, each.title ?? name, each.description ?? ''].filter((line, index, all) => line !== '' && all.indexOf(line) === index).join('\n');
  const titles = optionsOf(each).map(({ title }) => title);
  let remark = '';
  for (let tries = 0; tries < mostTries; tries += 1) {
    const answer = await ask({ reason: 'input', prompt: `${remark}${prompt}`, choices: each.type === 'boolean' ? ['yes', 'no'] : titles });
    if (answer.kind === 'ended') return 'cancel';
    if (answer.kind !== 'text') return 'decline';
    if (answer.text.trim() === '' && !isRequired) return undefined;
    const value = valueOf(answer.text, each);
    if (value !== undefined) return { value };
    remark = `“${answer.text.slice(0, 100)}” does not fit.\n`;
  }
  return 'decline';
}

/** Undefined when the text is no answer to this field. Exported for its tests. */
export function valueOf(text: string, each: Field): Value | undefined {
  const word = text.trim();
  switch (each.type) {
    case 'boolean':
      if (/^(y|yes|true|1)$/i.test(word)) return true;
      return /^(n|no|false|0)$/i.test(word) ? false : undefined;
    case 'number':
    case 'integer': {
      const number = word === '' ? Number.NaN : Number(word);
      return Number.isFinite(number) && (each.type === 'number' || Number.isInteger(number)) ? number : undefined;
    }
    case 'array': {
      const picked = word.split(',').map((part) => picking(part, optionsOf(each)));
      return picked.every((one) => one !== undefined) ? picked : undefined;
    }
    default: {
      const options = optionsOf(each);
      return options.length === 0 ? text : picking(word, options);
    }
  }
}

function optionsOf(each: Field): readonly z.infer<typeof option>[] {
  for (const from of [each, each.items ?? {}]) {
    const found = from.oneOf ?? from.anyOf ?? from.enum?.map((value) => ({ const: value, title: value }));
    if (found !== undefined && found.length > 0) return found;
  }
  return [];
}

/** By what it is called or stands for, or by its number in the list. */
function picking(text: string, options: readonly z.infer<typeof option>[]): string | undefined {
  const word = text.trim().toLowerCase();
  const named = options.find((each) => each.title.toLowerCase() === word || each.const.toLowerCase() === word);
  return (named ?? (/^\d+$/.test(word) ? options[Number(word) - 1] : undefined))?.const;
}
