/** Whose act it is that a link brought. */
import type { Act } from '../domain/audit.ts';
import type { Link } from '../domain/mesh-port.ts';

/** @param user who did it there, as that node says */
export function actOfPeer({ peer: { nodeId, name, owner }, address }: Pick<Link, 'peer' | 'address'>, user?: string): Act {
  return {
    who: { is: 'member', nodeId, name, owner, ...(user === undefined ? {} : { user }) },
    from: { via: 'session', ...(address === undefined ? {} : { address }) },
  };
}
