/** Which session of an agent a caller may ask for. */
import { invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import type { SessionChoice } from './invocation.ts';

/** Why an agent whose harness starts anew each time can't do this; undefined when it can. */
export function flawWithoutSessions(choice: SessionChoice, harness: string): BrokerError | undefined {
  if (choice.mode === 'new') return undefined;
  const what = choice.mode === 'continue' ? 'this agent has no session to continue' : 'this agent has no sessions';
  return invalid(`${what}: its harness, ${harness}, starts anew each time`, 'leave out --continue and --session');
}
