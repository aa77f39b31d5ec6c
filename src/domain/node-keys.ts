/** Keys that a node may have in its own environment, and nothing that it starts has any business with. */
import { invalid } from './errors.ts';

/** What opens the control plane of its tailnet. */
export const nodeKeys: readonly string[] = ['BECKON_TAILSCALE_API_KEY', 'BECKON_TAILSCALE_CLIENT_SECRET'];

/** @param env NAME and NAME=VALUE, as an agent is added with. @throws BrokerError `invalid` when one would pass a key of the node on */
export function checkPassedOn(env: readonly string[]): void {
  const key = env.find(isNodeKey);
  if (key !== undefined) throw invalid(`${key} is a key of the node itself, which no agent gets`, `give the agent one of its own: --env ${key}=VALUE`);
}

export function isNodeKey(name: string): boolean {
  return nodeKeys.includes(name);
}
