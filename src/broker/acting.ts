/** The use cases that the audit is told of, in the name of whoever calls them. */
import type { Act } from '../domain/audit.ts';
import type { Admission } from './admission.ts';
import type { Agents } from './agents.ts';
import type { BrokerApi } from './api.ts';
import type { MembershipSides } from './membership.ts';
import type { Projects } from './projects.ts';
import type { ReplyRelay } from './reply-relay.ts';
import type { Sharing } from './sharing.ts';

type Acting =
  | 'addAgent'
  | 'removeAgent'
  | 'shareAgent'
  | 'unshareAgent'
  | 'approveProjects'
  | 'forgetProject'
  | 'replyToFlight'
  | 'createMesh'
  | 'createInvite'
  | 'joinMesh'
  | 'admit'
  | 'addIssuer'
  | 'exportRecovery'
  | 'importRecovery'
  | 'renameNode'
  | 'leaveMesh'
  | 'removeMember';

export type Acts = Pick<BrokerApi, Acting>;

/** As the use case, and told whose act it is. */
type Told<Name extends Acting> = (...args: [...Parameters<BrokerApi[Name]>, act: Act]) => ReturnType<BrokerApi[Name]>;

export interface ActingParts {
  readonly agents: Agents;
  readonly sharing: Sharing;
  readonly projects: Projects;
  readonly relay: ReplyRelay;
  readonly admission: Admission;
  readonly membership: MembershipSides;
  readonly mesh: { readonly [Name in 'createMesh' | 'createInvite' | 'joinMesh']: Told<Name> };
  readonly recovery: { readonly [Name in 'exportRecovery' | 'importRecovery']: Told<Name> };
  /** @throws what keeps it from judging flights now */
  readonly judging: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

export function actingAs(act: Act, { agents, sharing, projects, relay, admission, membership, mesh, recovery, judging }: ActingParts): Acts {
  return {
    addAgent: (spec) => agents.add(spec, act),
    removeAgent: (address) => agents.remove(address, act),
    shareAgent: (input) => sharing.share(input, act),
    unshareAgent: (input) => sharing.unshare(input, act),
    approveProjects: (input) => projects.approveProjects(input, act),
    forgetProject: (root) => projects.forgetProject(root, act),
    replyToFlight: (input) => judging(() => relay.give(input, act)),
    createMesh: (input) => mesh.createMesh(input, act),
    createInvite: (input) => mesh.createInvite(input, act),
    joinMesh: (token) => mesh.joinMesh(token, act),
    admit: (input) => admission.rule(input, act),
    addIssuer: (node) => membership.appointing.add(node, act),
    exportRecovery: (input) => recovery.exportRecovery(input, act),
    importRecovery: (input) => recovery.importRecovery(input, act),
    renameNode: (name) => membership.renaming.rename(name, act),
    leaveMesh: (input) => membership.leaving.leave(input, act),
    removeMember: (node, by) => membership.removal.remove(node, by, act),
  };
}
