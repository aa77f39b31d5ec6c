/** What the store keeps of projects. The general promises of store-port.ts hold. */
import type { Act } from './audit.ts';
import type { Stamp } from './event.ts';
import type { FlightId } from './ids.ts';
import type { Endpoint } from './invocation.ts';
import type { Project, ProjectInstance } from './project.ts';
import type { Registration } from './registration.ts';

export interface ProjectWrites {
  /** Approved, for the first time or anew; `leftOut` begins empty. */
  saveProject(input: { stamp: Stamp; act?: Act | undefined; project: Omit<Project, 'leftOut' | 'approvedAtMs'> }): Promise<void>;
  /** The agent of that worktree, new or run otherwise from now on. @throws `not_found` for an unknown project, `conflict` when the address is not this worktree's */
  putInstance(input: { stamp: Stamp; root: string; top: string; endpoint: Endpoint; registration: Registration }): Promise<void>;
  /** The project and its instances, as `removeAgent` does. @throws `not_found` */
  forgetProject(input: { stamp: Stamp; act?: Act | undefined; root: string; why: string }): Promise<{ removed: readonly { readonly address: string; readonly held: readonly FlightId[] }[] }>;
}

export interface ProjectReads {
  /** Approved here, by root. */
  projects(): readonly Project[];
  project(root: string): Project | undefined;
  /** Agents that this node keeps for worktrees of that project. */
  instancesOf(root: string): readonly ProjectInstance[];
  /** Undefined: no agent of this node, or one that was added by hand. */
  projectInstance(address: string): ProjectInstance | undefined;
  /** Of an agent of this node. */
  ownRegistration(address: string): Registration | undefined;
  /** Why an agent that was here is not any more. */
  unlistedWhy(address: string): string | undefined;
}
