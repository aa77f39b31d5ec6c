/** All harnesses of this node, by the name that an endpoint carries. */
import type { Harness, HarnessEvents, Orphans } from '../domain/harness-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { CommandHarness } from './command.ts';
import type { Environment } from './environment.ts';
import { OrphanSweep } from './orphans.ts';
import { processTable } from './process-table.ts';
import type { Worktrees } from '../domain/worktree-port.ts';
import { GitWorktrees } from './worktree/worktrees.ts';
import type { WorktreePorts } from './worktree/worktrees.ts';

export interface HarnessPorts {
  readonly clock: Clock;
  /** The node's own environment, as it was started with. */
  readonly environment: Environment;
  readonly log?: Log;
  /** Told of what is kept after its run. */
  readonly events?: HarnessEvents;
}

export function createHarnesses(ports: HarnessPorts): ReadonlyMap<string, Harness> {
  const harnesses = [new CommandHarness({ ...ports, readProcesses: processTable(process.platform) })];
  return new Map(harnesses.map((harness) => [harness.name, harness]));
}

/** @param ports.directory absolute */
export function createWorktrees(ports: WorktreePorts): Worktrees {
  return new GitWorktrees(ports);
}

export { checkouts } from './worktree/checkouts.ts';

/** What ends the processes that a node which died left running. */
export function createOrphans({ clock, log }: Pick<HarnessPorts, 'clock' | 'log'>): Orphans {
  return new OrphanSweep({ clock, readProcesses: processTable(process.platform), ...(log === undefined ? {} : { log }) });
}
