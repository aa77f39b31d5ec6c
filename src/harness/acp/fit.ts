/** Whether a project is set up for an agent, by what lies in its directory. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fit } from '../../domain/harness-port.ts';
import type { Preset } from './presets.ts';

/** Made for any agent that reads such. */
export const sharedMarks = ['AGENTS.md', '.agents'] as const;

export async function fitOf({ marks, readsAgentsFile }: Pick<Preset, 'marks' | 'readsAgentsFile'>, cwd: string): Promise<Fit | undefined> {
  const exists = (name: string): Promise<boolean> =>
    access(join(cwd, name)).then(
      () => true,
      () => false,
    );
  for (const mark of marks) if (await exists(mark)) return { mark, isItsOwn: true };
  for (const mark of readsAgentsFile ? sharedMarks : []) if (await exists(mark)) return { mark, isItsOwn: false };
  return undefined;
}
