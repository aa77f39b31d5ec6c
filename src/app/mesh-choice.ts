/** Which of the meshes that answer on a tailnet a machine enters by itself, if any. */
import type { KnownIssuer } from '../trust/issuer-call.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';

export interface FoundIssuer {
  readonly known: KnownIssuer;
  /** The machine that it is on. */
  readonly machine: TailnetIdentity;
  readonly isAdmissible: boolean;
  /** Why it would not let this machine in now. */
  readonly why: string;
}

export interface FoundMesh {
  readonly meshId: string;
  readonly name: string;
  /** Some issuer of it would let this machine in at once. */
  readonly isAdmissible: boolean;
  readonly issuers: readonly FoundIssuer[];
}

export type Choice =
  | { readonly kind: 'none' }
  /** The one that would let this machine in; or the only one there is, which gets its application. */
  | { readonly kind: 'one'; readonly mesh: FoundMesh }
  /** A person has to choose. */
  | { readonly kind: 'several'; readonly meshes: readonly FoundMesh[] };

export function chooseMesh(found: readonly FoundMesh[]): Choice {
  const admissible = found.filter(({ isAdmissible }) => isAdmissible);
  const meshes = admissible.length > 0 ? admissible : found;
  const [first] = meshes;
  if (first === undefined) return { kind: 'none' };
  return meshes.length === 1 ? { kind: 'one', mesh: first } : { kind: 'several', meshes };
}

export function groupByMesh(issuers: readonly (FoundIssuer & { readonly meshName: string })[]): readonly FoundMesh[] {
  const meshes = Map.groupBy(issuers, ({ known }) => known.meshId);
  return [...meshes].map(([meshId, each]) => ({
    meshId,
    // By its first word on it: names of meshes are for people and prove nothing.
    name: each.find(({ meshName }) => meshName !== '')?.meshName ?? meshId.slice(0, 8),
    isAdmissible: each.some(({ isAdmissible }) => isAdmissible),
    issuers: each,
  }));
}

/** `home (on laptop of ann)` */
export function describeMesh({ name, issuers }: FoundMesh): string {
  const on = issuers.map(({ machine: { name: machine, user, tags } }) => `${machine} of ${user ?? tags.join(', ')}`);
  return `${name} (on ${[...new Set(on)].join(' and ')})`;
}
