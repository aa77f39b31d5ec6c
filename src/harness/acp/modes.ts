/** Agents have modes of their own, in some of which they ask and in others do not: which one goes with the permissions. */
import type { Permissions } from '../../domain/invocation.ts';
import type { Modes } from './answers.ts';
import type { Preset } from './presets.ts';

/** Undefined when the agent offers none that is known to fit: it stays in the one that it is in. */
export function modeFor(preset: Pick<Preset, 'askingModes' | 'freeModes'>, permissions: Permissions, modes: Modes): string | undefined {
  const wanted = permissions === 'full' ? preset.freeModes : preset.askingModes;
  return wanted.find((id) => modes?.availableModes.some((mode) => mode.id === id));
}
