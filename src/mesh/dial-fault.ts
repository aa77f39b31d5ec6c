/** Why an address could not be reached, as a kind to decide by and as words for people. */
import { BrokerError } from '../domain/errors.ts';
import { hostOf } from '../domain/host-port.ts';
import type { TargetView } from './dialler.ts';

/** From the most telling to the least: of several addresses of one node, the first of these says most about it. */
export const dialFaults = ['clone', 'incompatible', 'identity', 'refused', 'reset', 'silent', 'no_route', 'unresolved', 'other'] as const;
export type DialFault = (typeof dialFaults)[number];

const codes: readonly (readonly [pattern: RegExp, fault: DialFault])[] = [
  [/\bECONNREFUSED\b/, 'refused'],
  [/\b(ECONNRESET|EPIPE|ECONNABORTED)\b|socket hang up/, 'reset'],
  [/\bETIMEDOUT\b/, 'silent'],
  [/\b(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL)\b/, 'no_route'],
  [/\b(ENOTFOUND|EAI_AGAIN)\b|Name resolution failed/, 'unresolved'],
];

/** @param words of the library, which hold the system's code. @returns `unavailable` */
export function dialError(address: string, words: string, cause?: unknown): BrokerError {
  const [match, fault = 'other'] = codes.find(([pattern]) => pattern.test(words)) ?? [];
  const code = match?.exec(words)?.[0];
  return of(fault, `${phrase(fault, address, words)}${fault !== 'other' && /^E[A-Z_]+$/.test(code ?? '') ? ` (${code})` : ''}`, cause);
}

/** Nobody answered in time. */
export function silentError(address: string): BrokerError {
  return of('silent', phrase('silent', address, ''));
}

/**
 * A member that showed its certificate, and was gone before it had greeted. Its side of TLS 1.3 judges last, and its front says nothing
 * to who is no member.
 * @param words why the session ended, of the library or of the peer itself
 */
export function ungreetedError(name: string, address: string, words: string): BrokerError {
  if (!/No connection established|Connection dropped|Failed to connect|ECONNRESET|EPIPE|socket hang up/.test(words)) return new BrokerError('unavailable', words);
  return of('reset', `${name} ends the connection at ${address} before a word: it does not take this node’s certificate, or its network broke off; beckon logs --level warn there says which`);
}

/** Another machine uses this node's key, or the other's. */
export function cloneError(words: string): BrokerError {
  return of('clone', words);
}

export function faultOf(error: BrokerError): DialFault {
  if (error.code === 'incompatible') return 'incompatible';
  if (error.code === 'unauthenticated') return 'identity';
  return dialFaults.find((each) => each === error.detail?.['fault']) ?? 'other';
}

/** Of what was tried and failed, what says most; undefined when nothing failed. */
export function mostTelling(tries: readonly TargetView[]): TargetView | undefined {
  const rank = ({ fault }: TargetView): number => (fault === undefined ? dialFaults.length : dialFaults.indexOf(fault));
  return tries.filter(({ failures }) => failures > 0).toSorted((a, b) => rank(a) - rank(b))[0];
}

function of(fault: DialFault, message: string, cause?: unknown): BrokerError {
  return new BrokerError('unavailable', message, { detail: { fault }, cause });
}

function phrase(fault: DialFault, address: string, words: string): string {
  const host = hostOf(address);
  switch (fault) {
    case 'refused':
      return `${address} refuses the connection: no node listens there`;
    case 'reset':
      return `${address} breaks the connection off`;
    case 'silent':
      return `${address} does not answer`;
    case 'no_route':
      return `there is no way to ${host} from here`;
    case 'unresolved':
      return `nobody knows the name ${host}`;
    case 'clone':
    case 'incompatible':
    case 'identity':
    case 'other':
      return words === '' ? 'the connection could not be made' : words;
  }
}
