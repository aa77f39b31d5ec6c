/** Whether a project is set up for an agent, by what lies in its directory. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fit } from '../../domain/harness-port.ts';
import type { Preset } from './presets.ts';

export async function fitOf({ marks, readsAgentsFile }: Pick<Preset, 'marks' | 'readsAgentsFile'>, cwd: string): Promise<Fit | undefined> {
  const exists = (name: string): Promise<boolean> =>
    access(join(cwd, name)).then(
      () => true,
      () => false,
    );
  for (const mark of marks) if (await exists(mark)) return { mark, isItsOwn: true };
  return readsAgentsFile && (await exists('AGENTS.md')) ? { mark: 'AGENTS.md', isItsOwn: false } : undefined;
}
