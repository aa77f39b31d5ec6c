/** What `doctor` says of the projects that were approved. Pure. */
import type { Check } from './checks.ts';
import type { Reconciled } from './project-instances.ts';

/** How a project stood when it was last looked at. */
export interface ProjectStanding {
  readonly root: string;
  /** Why it is not there now. */
  readonly away?: string;
  /** What is said of it by now and was not approved. */
  readonly changed?: string;
  /** Worktrees that have no instance, and why. */
  readonly refused?: readonly string[];
  /** Instances that are called otherwise when they have nothing to do any more. */
  readonly later?: Reconciled['later'];
}

/** @param missing roots of the config file that are no directories */
export function projectsCheck(approved: number, standing: readonly ProjectStanding[], missing: readonly string[]): Check {
  const changed = standing.flatMap(({ root, changed: what }) => (what === undefined ? [] : [`${root} has changed since it was approved (${what}): that is not in force`]));
  const about = [
    ...changed,
    ...standing.flatMap(({ away }) => (away === undefined ? [] : [`${away}: its instances wait for it`])),
    ...standing.flatMap(({ refused = [] }) => refused),
    ...missing.map((root) => `the root ${root} is no directory`),
  ];
  const detail = [`${approved} ${approved === 1 ? 'project is' : 'projects are'} approved`, ...about].join('; ');
  const hint = changed.length > 0 ? 'look, and say yes or no: beckon agent scan' : missing.length > 0 ? 'make it, or take it out of roots in the config file' : '';
  return { id: 'projects', ok: true, detail, hint };
}
