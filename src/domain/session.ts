/** Which session of an agent a caller may ask for, and how sessions are named. */
import { invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import { crockford, isSessionId } from './ids.ts';
import type { SessionId } from './ids.ts';
import type { SessionChoice } from './invocation.ts';

/** Why an agent whose harness starts anew each time can't do this; undefined when it can. */
export function flawWithoutSessions(choice: SessionChoice, harness: string): BrokerError | undefined {
  if (choice.mode === 'new') return undefined;
  const what = choice.mode === 'continue' ? 'this agent has no session to continue' : 'this agent has no sessions';
  return invalid(`${what}: its harness, ${harness}, starts anew each time`, 'leave out --continue and --session');
}

/** What a text may stand for, to be looked up in this order. */
export type SessionKey =
  | { readonly by: 'id'; readonly id: SessionId }
  /** What the agent itself calls it. */
  | { readonly by: 'name'; readonly name: string }
  /** The last 4 to 26 characters of its id. */
  | { readonly by: 'suffix'; readonly suffix: string };

/** `last` is the one used last. Agents choose the names of theirs: some look like our ids. */
export function sessionKeys(text: string): 'last' | readonly SessionKey[] {
  if (text.toLowerCase() === 'last') return 'last';
  const keys: SessionKey[] = [];
  const id = text.toLowerCase().startsWith('ses_') ? `ses_${crockford(text.slice(4))}` : '';
  if (isSessionId(id)) keys.push({ by: 'id', id });
  keys.push({ by: 'name', name: text });
  const suffix = crockford(text);
  if (/^[0-9A-HJKMNP-TV-Z]{4,26}$/.test(suffix)) keys.push({ by: 'suffix', suffix });
  return keys;
}
