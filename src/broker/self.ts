/** Who this node is. Name, owner and mesh change when it joins one; everything that needs them asks here. */
import type { MeshId, NodeId } from '../domain/ids.ts';

export interface Self {
  readonly nodeId: NodeId;
  /** This boot. */
  readonly epoch: number;
  /** What the store had before this boot, 0 for nothing. */
  readonly previousEpoch: number;
  readonly version: string;
  name(): string;
  owner(): string;
  /** From when on its certificate is in force, ms; 0 without a mesh. */
  certifiedAtMs(): number;
  /** From when on it has its name in the mesh, ms; 0 without one. Of two nodes with one name the earlier keeps it. */
  namedSinceMs(): number;
  mesh(): { readonly id: MeshId; readonly name: string } | undefined;
}
