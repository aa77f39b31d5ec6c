/** What clients ask of the projects of this machine, and what they are told. */
import type { ApproveInput, BrokerApi, LocalCaller, ScannedProject } from '../broker/api.ts';
import type * as wire from '../gen/beckon/v1/project.ts';
import { list, name, text } from '../rpc/fields.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import { actOf } from './act.ts';

const longestPath = 4096;
const longestSearchPath = 128 * 1024;
const mostDirectories = 100;
const mostApprovals = 1000;

export function projectHandlers(api: BrokerApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'scanProjects' | 'approveProjects' | 'forgetProject'> {
  return {
    scanProjects: unary(edge, async (_caller, { directories, cwd, path }) => {
      const found = await api.scanProjects({
        directories: list(directories, 'directories', mostDirectories).map((each) => text(name(each, 'directory'), 'directory', longestPath)),
        cwd: text(name(cwd, 'cwd'), 'cwd', longestPath),
        path: text(path, 'path', longestSearchPath),
      });
      return { projects: found.projects.map(encodeProject), notes: [...found.notes] };
    }),
    approveProjects: unary(edge, async (caller, request) => {
      const { added, removed } = await api.as(actOf(caller)).approveProjects(decodeApprove(caller, request));
      return { added: [...added], removed: [...removed] };
    }),
    forgetProject: unary(edge, async (caller, { root }) => {
      const { removed, ...rest } = await api.as(actOf(caller)).forgetProject(text(name(root, 'root'), 'root', longestPath));
      return { ...rest, removed: [...removed] };
    }),
  };
}

function decodeApprove(caller: LocalCaller, { approvals, path }: wire.ApproveProjectsRequest): ApproveInput {
  return {
    approvals: list(approvals, 'approvals', mostApprovals).map((each) => ({ root: text(name(each.root, 'root'), 'root', longestPath), fingerprint: name(each.fingerprint, 'fingerprint') })),
    path: text(path, 'path', longestSearchPath),
    by: caller.id,
  };
}

function encodeProject(project: ScannedProject): wire.ScannedProject {
  return {
    ...project,
    why: [...project.why],
    command: [...project.command],
    env: [...project.env],
    capabilities: [...project.capabilities],
    labels: { ...project.labels },
    defaultWorkspace: project.defaultWorkspace ?? '',
    problem: project.problem ?? '',
    instances: project.instances.map((each) => ({ ...each, problem: each.problem ?? '' })),
  };
}
