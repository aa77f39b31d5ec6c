/** Whether an agent is installed here and a project is set up for it. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fit } from '../../domain/harness-port.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import { agentCommand } from './command-line.ts';
import type { Preset } from './presets.ts';

export async function fitOf(preset: Preset, { cwd, path }: Pick<Endpoint, 'cwd' | 'path'>): Promise<Fit | undefined> {
  if (preset.commands.length === 0) return undefined;
  const exists = async (name: string): Promise<boolean> =>
    access(join(cwd, name)).then(
      () => true,
      () => false,
    );
  const isInstalled = await agentCommand(preset, { argv: [], path, cwd }).then(
    () => true,
    () => false,
  );
  if (!isInstalled) return undefined;
  for (const mark of preset.marks) if (await exists(mark)) return { mark, isItsOwn: true };
  return preset.readsAgentsFile && (await exists('AGENTS.md')) ? { mark: 'AGENTS.md', isItsOwn: false } : undefined;
}
