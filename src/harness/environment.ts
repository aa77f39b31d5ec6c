/**
 * The environment of an agent: small and fixed, so that an agent behaves alike whether its node was started by a
 * shell or by a service, and nothing of the node's own (tokens, another agent's keys) reaches it.
 */
import { invalid } from '../domain/errors.ts';
import type { Endpoint } from '../domain/invocation.ts';
import { isNodeKey } from '../domain/node-keys.ts';
import { quoted } from '../domain/text.ts';

/** What a program needs to find its user, its language and the user's keys. PATH is not here: it comes from the endpoint. */
const passedOn = ['HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TMPDIR', 'SSH_AUTH_SOCK', 'GPG_AGENT_INFO', 'GNUPGHOME'] as const;

/** The rest of the locale: LC_ALL, LC_CTYPE, … */
const localePrefix = 'LC_';

/** What every agent is given when the node has it, PATH aside. */
export function isForEveryAgent(name: string): boolean {
  return name.startsWith(localePrefix) || (passedOn as readonly string[]).includes(name);
}

/** An environment as a process has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * PATH as captured when the agent was added, the few variables above, the endpoint's own, then the flight's, each
 * overriding what came before. A name that the node itself has no value for is left out, and so are the node's own keys.
 * @param base the node's environment
 * @param needs the names that this kind of agent needs besides
 * @throws BrokerError `invalid` when an entry of `endpoint.env` is neither NAME nor NAME=VALUE
 */
export function agentEnvironment(
  base: Environment,
  endpoint: Pick<Endpoint, 'env' | 'path'>,
  flightEnv: Readonly<Record<string, string>>,
  needs: (name: string) => boolean = () => false,
): Record<string, string> {
  // A map, so that no name (`__proto__`) is special.
  const chosen = new Map<string, string>();
  const pass = (name: string): void => {
    const value = Object.hasOwn(base, name) && !isNodeKey(name) ? base[name] : undefined;
    if (value !== undefined) chosen.set(name, value);
  };
  for (const name of Object.keys(base)) if (isForEveryAgent(name) || needs(name)) pass(name);
  chosen.set('PATH', endpoint.path);
  for (const entry of endpoint.env) {
    const { name, value } = parseEntry(entry);
    if (value === undefined) pass(name);
    else chosen.set(name, value);
  }
  for (const [name, value] of Object.entries(flightEnv)) chosen.set(name, value);
  return Object.fromEntries(chosen);
}

function parseEntry(entry: string): { readonly name: string; readonly value?: string } {
  const equals = entry.indexOf('=');
  const name = equals < 0 ? entry : entry.slice(0, equals);
  // The value stays out of the message: it may be a secret.
  if (name === '') throw invalid('an entry of the agent’s environment has no name', 'give NAME to pass the node’s value on, or NAME=VALUE');
  if (entry.includes('\0')) throw invalid(`the environment variable ${quoted(name)} has a NUL byte`, 'an environment variable can’t hold one');
  return equals < 0 ? { name } : { name, value: entry.slice(equals + 1) };
}
