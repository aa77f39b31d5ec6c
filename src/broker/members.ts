/** The machines of the mesh, as people see them. */
import type { Mesh } from '../domain/mesh-port.ts';
import type { Store } from '../domain/store-port.ts';
import type { MemberView } from './api.ts';
import type { Self } from './self.ts';

/** None without a mesh; of one that removed this node, this node alone. */
export function membersSeen({ store, self, mesh }: { readonly store: Store; readonly self: Self; readonly mesh: () => Mesh }): readonly MemberView[] {
  const own = { name: self.name(), nodeId: self.nodeId, owner: self.owner() };
  if (store.read.removedFrom() !== undefined) return [{ ...own, state: 'removed' }];
  if (self.mesh() === undefined) return [];
  const states = new Map(mesh().peers().map((each) => [each.nodeId, each.state]));
  const others = store.read.members().filter((each) => each.nodeId !== self.nodeId);
  const stateOf = ({ nodeId, left, removed }: (typeof others)[number]): MemberView['state'] => (removed !== undefined ? 'removed' : left !== undefined ? 'left' : (states.get(nodeId) ?? 'discovered'));
  return [{ ...own, state: 'self' }, ...others.map((each) => ({ name: each.name, nodeId: each.nodeId, owner: each.owner, state: stateOf(each) }))];
}
