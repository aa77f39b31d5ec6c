/** Which variables of the installing shell a node that runs as a service is given. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** Of the node itself: whom to look for, where to send traces. What a flight is given is not among them. */
const ofTheNode = /^(BECKON_(DISCOVER|TAILNET|TAILSCALE_.+)|OTEL_.+)$/;

/** Of this login, or told to the node in another way. */
const left = new Set(['HOME', 'USER', 'LOGNAME', 'TMPDIR', 'GPG_AGENT_INFO', 'PWD']);

export interface Capture {
  readonly variables: Readonly<Record<string, string>>;
  /** For people: what was not taken, and why. */
  readonly notes: readonly string[];
}

/**
 * PATH, and all that agents of this node may be given of the node's environment.
 * @param isForAgents whether some kind of agent is given it
 * @param asked names that agents of this node were added with (`--env NAME`)
 */
export function capture(env: Environment, isForAgents: (name: string) => boolean, asked: readonly string[]): Capture {
  const wanted = (name: string): boolean => name === 'PATH' || asked.includes(name) || (!left.has(name) && (isForAgents(name) || ofTheNode.test(name)));
  const variables = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && wanted(entry[0])));
  const { SSH_AUTH_SOCK: agent, ...rest } = variables;
  if (agent === undefined || asked.includes('SSH_AUTH_SOCK') || isLasting(agent, env)) return { variables, notes: [] };
  return { variables: rest, notes: [`SSH_AUTH_SOCK (${agent}) is not captured: it is of this login only`] };
}

/** Sockets in the home directory and in the user's run directory have the same name after the next login. */
function isLasting(path: string, { HOME: home, XDG_RUNTIME_DIR: run, SSH_CONNECTION: remote }: Environment): boolean {
  if (remote !== undefined && remote !== '' && path.startsWith('/tmp/')) return false;
  return [home, run].some((directory) => directory !== undefined && directory !== '' && path.startsWith(`${directory.replace(/\/$/, '')}/`)) || path.startsWith('/run/user/');
}
