/** What a running agent asks of its people, what they may say to it, and when it is too late to say it. */
import { conflict, invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import { isTerminal } from './flight.ts';
import type { FlightState, WaitingReason } from './flight.ts';

/** How long a request waits unless its agent says otherwise, ms. Nobody answered by then: denied. */
export const defaultRequestMs = 10 * 60_000;
export const longestRequestMs = 24 * 3_600_000;
/** Characters: more of a prompt is cut off, so that lists of what waits stay small. */
export const longestPrompt = 16 * 1024;
export const longestChoice = 256;
export const mostChoices = 32;
/** Characters. */
export const longestReply = 64 * 1024;

export interface Ask {
  readonly reason: WaitingReason;
  readonly prompt: string;
  readonly choices: readonly string[];
  /** From the moment when it is put to people: a request may stand behind others of its flight. */
  readonly timeoutMs?: number;
}

export const replyKinds = ['text', 'approved', 'denied'] as const;

/** What a person says to a request: text to one for input, yes or no to one for approval. */
export type Reply = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'approved' } | { readonly kind: 'denied' };

/** What the agent is told. `timeout` counts as no; `ended`: its run is being ended, and nobody will answer any more. */
export type Answer = (Reply & { readonly by: string }) | { readonly kind: 'timeout' } | { readonly kind: 'ended' };

/** As it is put to people: bounded, whatever the agent wrote. @param usualMs how long it waits when its agent does not say */
export function trimmed(ask: Ask, usualMs = defaultRequestMs): Required<Ask> {
  return {
    reason: ask.reason,
    prompt: cut(ask.prompt, longestPrompt),
    choices: ask.choices.slice(0, mostChoices).map((choice) => cut(choice, longestChoice)),
    timeoutMs: Math.min(Math.max(0, ask.timeoutMs ?? usualMs), longestRequestMs),
  };
}

function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

/** Of a flight, as the one who judges a reply knows it. */
export interface Asking {
  readonly state: FlightState;
  readonly isCancelling: boolean;
  /** The request that it waits for. */
  readonly request: string | undefined;
  readonly reason: WaitingReason | undefined;
}

/** @returns why this reply can't be taken, or undefined when it can */
export function flawOfReply({ state, isCancelling, request: open, reason }: Asking, request: string, reply: Reply): BrokerError | undefined {
  if (isTerminal(state)) return conflict(`it has ended already: ${state}`);
  if (isCancelling) return conflict('it is being cancelled');
  if (open === undefined) return conflict('it waits for nothing now', 'what waits: beckon inbox');
  if (open !== request) return conflict(`it does not wait for ${request} any more, but for ${open}`, 'what waits: beckon inbox');
  if (reason === 'approval' && reply.kind === 'text') return conflict('it waits for an approval, not for text', 'beckon flight approve|deny ID REQUEST');
  if (reason === 'input' && reply.kind !== 'text') return conflict('it waits for text, not for an approval', 'beckon flight reply ID TEXT');
  return undefined;
}

/** @throws BrokerError `invalid` */
export function checkReply(reply: Reply): void {
  if (reply.kind === 'text' && reply.text.length > longestReply) throw invalid(`a reply has at most ${longestReply} characters, not ${reply.text.length}`);
}

export function isSameReply(a: Reply, b: Reply): boolean {
  return a.kind === b.kind && (a.kind !== 'text' || b.kind !== 'text' || a.text === b.text);
}

/** A request is answered once. @param how the answer that counts */
export function answeredAlready(request: string, how: string): BrokerError {
  if (how === 'timeout') return conflict(`${request} was not answered in time, and so denied`);
  return conflict(`${request} is answered already: ${how}`);
}
