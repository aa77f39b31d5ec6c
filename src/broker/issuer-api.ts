/** Who lets others in, and what is left when nobody can: the port upwards of it. */
import type { MeshId, NodeId } from '../domain/ids.ts';

export interface AddedIssuer {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly owner: string;
  /** It let others in before. */
  readonly already: boolean;
}

export interface RecoveryInput {
  /** Absolute. */
  readonly path: string;
  readonly passphrase: string;
}

export interface ExportedRecovery {
  readonly path: string;
  readonly meshName: string;
  /** How many are known by it. */
  readonly members: number;
}

export interface ImportedRecovery {
  readonly meshId: MeshId;
  readonly meshName: string;
  readonly nodeName: string;
  readonly owner: string;
  /** Others that are known by it. */
  readonly members: number;
  /** It was in that mesh before. */
  readonly wasMember: boolean;
}

export interface IssuerApi {
  /** That member lets others in, too. @throws `denied` where the root's key is not, `not_found`, `unavailable` when it can't be reached, `conflict` outside of a mesh */
  addIssuer(node: string): Promise<AddedIssuer>;
  /**
   * The root's key, to a new file that the passphrase opens; with `move` it is on this machine no longer.
   * @throws `denied` where the root's key is not, `conflict` when something is there, `invalid` for a short passphrase, `unavailable` when it can't be written
   */
  exportRecovery(input: RecoveryInput & { readonly move: boolean }): Promise<ExportedRecovery>;
  /**
   * This node has the root's key, and lets others into that mesh, as a member of it.
   * @throws `denied` for another passphrase, `invalid` for a damaged file, `not_found` for none, `conflict` when it is in another mesh
   */
  importRecovery(input: RecoveryInput): Promise<ImportedRecovery>;
}
