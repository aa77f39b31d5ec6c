/** The projects of this machine: where they are looked for, and what its person says of them. */
import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { BrokerParts } from '../broker/broker-parts.ts';
import { DirectoryWatch } from '../discovery/project-watch.ts';
import { createProjectFinder } from '../discovery/projects.ts';
import type { Clock, Log, ProjectProbe } from '../domain/ports.ts';
import type { ProjectOverride, ProjectsConfig } from '../domain/project.ts';
import { projectMarks } from '../harness/registry.ts';
import type { Config } from './config.ts';
import type { LiveConfig } from './live-config.ts';
import type { Paths } from './paths.ts';

export interface ProjectsWiring {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly probe: ProjectProbe;
  readonly config: LiveConfig;
}

export async function projectParts({ paths, env, clock, log, probe, config }: ProjectsWiring): Promise<BrokerParts['projects']> {
  const home = await actual(env['HOME'] || homedir());
  const worktreesDirectory = join(await actual(paths.stateDir), 'worktrees');
  return {
    ports: { finder: createProjectFinder({ clock, probe, home, worktreesDirectory, marks: new Set(projectMarks) }), watch: new DirectoryWatch({ clock, log }) },
    config: async () => projectsConfig(await config.read(), home),
    onConfigChanged: (listener) => config.onChange((changed) => (changed.has('roots') || changed.has('projects') ? listener() : undefined)),
  };
}

async function projectsConfig({ roots = [], projects = {} }: Config, home: string): Promise<ProjectsConfig> {
  const absolute = (path: string): string => resolve(path.startsWith('~') ? join(home, path.slice(1)) : path);
  const overrides = new Map<string, ProjectOverride>();
  for (const [path, override] of Object.entries(projects)) overrides.set(await actual(absolute(path)), override);
  return { roots: roots.map(absolute), overrides };
}

/** Links resolved, as far as it is there. */
async function actual(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return path;
    throw error;
  }
}
