/** Who lets others in, and what is left when nobody can: the port upwards of it. */
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { RootView } from '../domain/trust.ts';

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

export interface RemovedIssuer {
  readonly nodeId: NodeId;
  readonly name: string;
  /** It let nobody in before, and nothing was changed now. */
  readonly already: boolean;
  /** Names of members whose certificates it signed: others renew them now. */
  readonly renewedByOthers: readonly string[];
}

/** What is said where a root's key is. */
export interface AuthorityApi {
  /**
   * That member lets nobody in any more, and stays one. `compromised`: its key may be in other hands, and of what it signed only what is known here
   * counts. @throws `denied` where the root's key is not, `conflict` when nobody else lets others in, `not_found`
   */
  removeIssuer(input: { readonly node: string; readonly compromised: boolean }): Promise<RemovedIssuer>;
  /** The oldest first. @throws `conflict` outside of a mesh */
  roots(): Promise<readonly RootView[]>;
  /** Another root, vouched for by the one in use: both count. @throws `denied` where no root's key is, `conflict` when another follows already */
  renewRoot(): Promise<{ readonly root: RootView; readonly signedBy: string }>;
  /**
   * Only the newest root whose key is here counts from now on. @returns fingerprints, and names of members that nobody vouches for any more
   * @throws `denied` where no root's key is, `conflict` when there is none to retire, or when members would be lost and it is not forced
   */
  retireRoot(input: { readonly force: boolean }): Promise<{ readonly kept: string; readonly retired: readonly string[]; readonly lost: readonly string[] }>;
}

export interface IssuerApi {
  /** That member lets others in, too. @throws `denied` where the root's key is not, `not_found`, `unavailable` when it can't be reached, `conflict` outside of a mesh */
  addIssuer(node: string): Promise<AddedIssuer>;
  readonly authority: AuthorityApi;
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
