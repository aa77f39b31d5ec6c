/** Hears of changes in directories of projects. Only a hint: who needs to be sure looks again now and then. */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import type { LogFields } from '../domain/log-fields.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { ProjectWatch, WatchedDirectory } from '../domain/project-port.ts';
import { isSystemError } from './repository.ts';

/** Of all projects together: each takes a place that the system has few of (inotify(7): max_user_watches). */
export const mostWatchers = 2_000;
/** git writes several files for one change. */
const settleMs = 150;

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly most?: number;
}

interface Watching {
  readonly watchers: Map<string, FSWatcher>;
  changed: () => void;
  cancelTimer?: CancelTimer | undefined;
}

export class DirectoryWatch implements ProjectWatch {
  readonly #parts: WatchParts;
  readonly #projects = new Map<string, Watching>();
  #hasTold = false;
  #isStopped = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  keep(root: string, directories: readonly WatchedDirectory[], changed: () => void): void {
    if (this.#isStopped) return;
    const project = this.#projects.get(root) ?? { watchers: new Map<string, FSWatcher>(), changed };
    project.changed = changed;
    this.#projects.set(root, project);
    const wanted = new Map(directories.map((each) => [each.path, each]));
    for (const [path, watcher] of project.watchers) {
      if (wanted.has(path)) continue;
      watcher.close();
      project.watchers.delete(path);
    }
    for (const { path, names } of wanted.values()) if (!project.watchers.has(path)) this.#begin(project, path, names);
  }

  drop(root: string): void {
    const project = this.#projects.get(root);
    if (project === undefined) return;
    project.cancelTimer?.();
    for (const watcher of project.watchers.values()) watcher.close();
    this.#projects.delete(root);
  }

  stop(): void {
    this.#isStopped = true;
    for (const root of [...this.#projects.keys()]) this.drop(root);
  }

  #begin(project: Watching, path: string, names: readonly string[] | undefined): void {
    const { most = mostWatchers } = this.#parts;
    const count = [...this.#projects.values()].reduce((sum, each) => sum + each.watchers.size, 0);
    if (count >= most) {
      this.#tell({ count: most }, 'more directories of projects than can be watched: changes show within seconds all the same');
      return;
    }
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (names === undefined || name === null || names.includes(name)) this.#heard(project);
      });
      // One that fails hears nothing more; it is made anew by the next look that still wants it.
      const end = (): void => {
        watcher.close();
        if (project.watchers.get(path) === watcher) project.watchers.delete(path);
      };
      watcher.on('error', end);
      project.watchers.set(path, watcher);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code !== 'ENOENT') this.#tell({ directory: path, err: error }, 'a directory of a project can’t be watched: changes show within seconds all the same');
    }
  }

  #heard(project: Watching): void {
    if (this.#isStopped) return;
    project.cancelTimer?.();
    project.cancelTimer = this.#parts.clock.setTimer(settleMs, () => {
      project.cancelTimer = undefined;
      project.changed();
    });
  }

  #tell(fields: LogFields, what: string): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    this.#parts.log.warn(fields, what);
  }
}
