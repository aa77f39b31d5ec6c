/** What of a line's fields is written: the closed list, each of its kind and bounded, and of errors what can hold nobody's text. */
import { BrokerError } from '../domain/errors.ts';
import { invocationOfFlight, isFlightId } from '../domain/ids.ts';
import type { LogField, LogFields } from '../domain/log-fields.ts';

const longestText = 500;
const mostEntries = 20;
const mostCauses = 5;
const mostFrames = 8;

type Kind = 'text' | 'number' | 'list' | 'error';

const kinds: Readonly<Record<LogField, Kind>> = {
  ...{ peer: 'text', peerId: 'text', invocationId: 'text', flightId: 'text', deliveryId: 'text', requestId: 'text' },
  ...{ agent: 'text', harness: 'text', mode: 'text', project: 'text', held: 'number', worktree: 'text', branch: 'text', directory: 'text', file: 'text', pid: 'number', processes: 'number' },
  ...{ mesh: 'text', meshId: 'text', by: 'text', owner: 'text', name: 'text', was: 'text', rules: 'list' },
  ...{ address: 'text', addresses: 'list', kept: 'text', refused: 'text', host: 'text', frame: 'text', call: 'text', saidBy: 'text', version: 'text' },
  ...{ from: 'text', to: 'text', reason: 'text', code: 'text', why: 'text', hint: 'text', err: 'error', chore: 'text', settings: 'list' },
  ...{ epoch: 'number', previousEpoch: 'number', newestEpoch: 'number', newestFact: 'number', seen: 'number', evidence: 'text', ended: 'number', flights: 'number', outputs: 'number', records: 'number', bytes: 'number' },
  ...{ count: 'number', told: 'number', of: 'number', queued: 'number', running: 'number', links: 'number', lost: 'number' },
};

/** @param onRefused told of a field that is not in the list, or not of its kind: it is left out */
export function writtenFields(fields: LogFields, onRefused?: (field: string) => void): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const shown = Object.hasOwn(kinds, field) ? shownAs(kinds[field as LogField], value) : undefined;
    if (shown === undefined) onRefused?.(field);
    else written[field] = shown;
  }
  const { flightId, invocationId } = written;
  if (invocationId === undefined && typeof flightId === 'string' && isFlightId(flightId)) written['invocationId'] = invocationOfFlight(flightId);
  return written;
}

function shownAs(kind: Kind, value: unknown): unknown {
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? plain(value) : undefined;
    case 'number':
      return typeof value === 'number' ? value : undefined;
    case 'list':
      return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value.slice(0, mostEntries).map(plain) : undefined;
    case 'error':
      return shownError(value, 0);
  }
}

/** Invitations, tokens of flights, keys in PEM, keys of tailnets: none should come here, and none gets further. */
const tokens = /bkn1\.[\w-]+|flt_[0-9A-Z]{26}\.[\w-]{20,}|-----BEGIN[^-]*-----[^-]*(-----END[^-]*-----)?|tskey-[\w-]+/g;

/** Bounded, and without what looks like a token of ours. */
export function plain(text: string): string {
  const cut = text.length <= longestText ? text : `${text.slice(0, longestText - 1)}…`;
  return cut.replaceAll(tokens, '[redacted]');
}

/** Their words are the engine's own and no data, but for what stands in quotes or behind `in`. */
const ofEngine = new Set(['TypeError', 'ReferenceError', 'RangeError']);

/**
 * Ours: code, message, hint. The words of others may be a task, an argument or a piece of what was parsed: of those the
 * name, the code, what the system was asked to do and with which file, and where it was thrown.
 */
function shownError(thrown: unknown, depth: number): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  const cause = thrown.cause === undefined || depth >= mostCauses ? {} : { cause: shownError(thrown.cause, depth + 1) };
  if (thrown instanceof BrokerError) {
    const where = thrown.code === 'internal' && thrown.cause === undefined ? { at: framesOf(thrown) } : {};
    return { code: thrown.code, message: plain(thrown.message), ...where, ...cause };
  }
  return { type: thrown.name, ...systemFields(thrown), ...wordsOf(thrown), at: framesOf(thrown), ...cause };
}

/** Not `spawnargs`, nor `cmd`, nor what a library put there. */
function systemFields(error: Error): Record<string, unknown> {
  const fields = ['code', 'syscall', 'path', 'dest', 'address', 'port'].map((name) => [name, Reflect.get(error, name)] as const);
  return Object.fromEntries(fields.filter(([, value]) => typeof value === 'string' || typeof value === 'number').map(([name, value]) => [name, typeof value === 'string' ? plain(value) : value]));
}

function wordsOf(error: Error): Record<string, unknown> {
  const isEngines = ofEngine.has(error.name) && !('code' in error);
  if (isEngines) return { message: plain(error.message.replaceAll(/'[^']*'|"[^"]*"|`[^`]*`/gs, '…').replace(/ in .*$/s, ' in …')) };
  return error.name === 'SqliteError' ? { message: plain(error.message) } : {};
}

/** Functions and places of code, which end a stack; the words of the error stand before them, and may look like some. */
function framesOf({ stack = '', message }: Error): readonly string[] {
  const words = message === '' ? -1 : stack.indexOf(message);
  const lines = (words < 0 ? stack : stack.slice(words + message.length)).split('\n');
  const last = lines.findLastIndex((line) => !frame.test(line));
  return lines.slice(last + 1, last + 1 + mostFrames).map((line) => line.trim().slice(3));
}

const frame = /^ {4}at (async )?([\w$.<>[\] #]+ (\[as [\w$]+\] )?)?\(?(file:\/\/|node:|\/|<anonymous>)[^\s()]*\)?$/;
