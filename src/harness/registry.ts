/** All harnesses of this node, by the name that an endpoint carries. */
import type { Harness, HarnessEvents, Orphans } from '../domain/harness-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { sharedMarks } from './acp/fit.ts';
import { AcpHarness } from './acp/harness.ts';
import { anyAgent, passesOn, presets } from './acp/presets.ts';
import { WarmAgents } from './acp/warm.ts';
import { CommandHarness } from './command.ts';
import { isForEveryAgent } from './environment.ts';
import type { Environment } from './environment.ts';
import { OrphanSweep } from './orphans.ts';
import { OutputPipeStock } from './pipes.ts';
import { processTable } from './process-table.ts';
import type { Worktrees } from '../domain/worktree-port.ts';
import { GitWorktrees } from './worktree/worktrees.ts';
import type { WorktreePorts } from './worktree/worktrees.ts';

export interface HarnessPorts {
  readonly clock: Clock;
  /** The node's own environment, as it was started with. */
  readonly environment: Environment;
  readonly log?: Log;
  /** Of this node. */
  readonly version?: string;
  /** Told of what is kept after its run. */
  readonly events?: HarnessEvents;
}

export function createHarnesses(ports: HarnessPorts): ReadonlyMap<string, Harness> {
  const { version = '0.0.0', events = { ended: () => undefined }, environment, clock, log } = ports;
  const readProcesses = processTable(process.platform);
  const temporary = environment['TMPDIR'] || '/tmp';
  // What is kept warm is counted for the whole node.
  const warm = new WarmAgents({ clock, events, ...(log === undefined ? {} : { log }) });
  const acp = { ...ports, readProcesses, version, temporary, warm, pipes: new OutputPipeStock(temporary) };
  const harnesses: Harness[] = [new CommandHarness({ ...ports, readProcesses }), ...[anyAgent, ...presets].map((preset) => new AcpHarness({ ...acp, preset }))];
  return new Map(harnesses.map((harness) => [harness.name, harness]));
}

/** Whether agents of some kind are given this variable of the node's environment without being added with `--env`. */
export function isForAgents(name: string): boolean {
  return isForEveryAgent(name) || [anyAgent, ...presets].some((preset) => passesOn(preset, name));
}

/** Files and directories of a project that are made for an agent, or for any. */
export const projectMarks: readonly string[] = [...new Set([...sharedMarks, ...presets.flatMap(({ marks }) => marks)])];

/** @param ports.directory absolute */
export function createWorktrees(ports: WorktreePorts): Worktrees {
  return new GitWorktrees(ports);
}

export { checkouts } from './worktree/checkouts.ts';

/** What ends the processes that a node which died left running. */
export function createOrphans({ clock, log }: Pick<HarnessPorts, 'clock' | 'log'>): Orphans {
  return new OrphanSweep({ clock, readProcesses: processTable(process.platform), ...(log === undefined ? {} : { log }) });
}
