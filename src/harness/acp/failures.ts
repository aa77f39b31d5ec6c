/** Why a turn did not come to a good end, in words for people. */
import { RequestError } from '@agentclientprotocol/sdk';
import { unavailable, type BrokerError, type ErrorCode } from '../../domain/errors.ts';
import type { RunEnd } from '../../domain/harness-port.ts';
import type { LastWords } from './last-words.ts';
import type { Preset } from './presets.ts';

/** Characters of the agent's own words in a message. */
const longestWords = 500;

/** As the protocol numbers them. */
const authRequired = RequestError.authRequired().code;
const notFound = RequestError.resourceNotFound().code;

export function isAuthRequired(error: unknown): boolean {
  return error instanceof RequestError && error.code === authRequired;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof RequestError && error.code === notFound;
}

/** The agent's message, with what it put beside it. */
export function wordsOf({ message, data }: RequestError): string {
  const details = typeof data === 'object' && data !== null ? ['details', 'message', 'error'].map((name) => Reflect.get(data, name)) : [data];
  const more = details.find((each) => typeof each === 'string' && each.trim() !== '' && !message.includes(each));
  const words = (typeof more === 'string' ? `${message}: ${more}` : message).replaceAll(/\s+/g, ' ').trim();
  return words.length <= longestWords ? words : `${words.slice(0, longestWords - 1)}…`;
}

/** Of an error that the agent answered with, before or in its turn. */
export function refusalOf({ title, login }: Preset, error: RequestError): BrokerError {
  if (error.code === authRequired) return unavailable(`${title} is not logged in; it says: ${wordsOf(error)}`, login?.hint ?? 'log in with its own command on that machine, then try again');
  return unavailable(`${title} answered with an error: ${wordsOf(error)}`, 'its last words, if it had any, are in the output: beckon flight output last --stream stderr');
}

export type Exit = Pick<RunEnd, 'exitCode' | 'signal'>;

/** Of an agent whose process is gone, or closed its side. @param doing what it had to do: "in the middle of its turn" */
export function deathOf({ title }: Preset, doing: string, exit: Exit | undefined, words: LastWords): BrokerError {
  const how = exit === undefined ? 'it closed its stdout' : exit.signal === undefined ? `exit code ${exit.exitCode}` : exit.signal;
  const said = words.line === '' ? 'it said nothing' : `its last words: ${words.line}`;
  return unavailable(`${title} ended ${doing} (${how}); ${said}`, 'run its command by hand in its directory to see why');
}

/** By the reason that the agent gave for the end of its turn. What it could not finish is its own failure. */
export function endOfTurn({ title }: Preset, stopReason: string): RunEnd {
  const failed = (code: ErrorCode, why: string, hint: string): RunEnd => ({ exitCode: 1, error: { code, message: `${title} stopped before it was done: ${why} (${stopReason})`, hint } });
  const goOn = 'have it go on: beckon invoke … --continue';
  switch (stopReason) {
    case 'end_turn':
      return { exitCode: 0 };
    case 'max_tokens':
      return failed('deadline', 'it reached its limit of tokens', goOn);
    case 'max_turn_requests':
      return failed('deadline', 'it reached its limit of requests to its model', goOn);
    case 'refusal':
      return failed('denied', 'it refused to go on', 'put the task in other words, in a new session');
    case 'cancelled':
      return failed('cancelled', 'it was cancelled on its own machine', goOn);
    default:
      return failed('incompatible', 'for a reason that this version does not know', 'see its answer, then decide');
  }
}
