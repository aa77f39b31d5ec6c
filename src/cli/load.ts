/** How busy an agent is, in a word or two. */
import type { AgentView } from '../client/types.ts';

/** `-` when that is not known now. */
export function loadText({ presence }: AgentView): string {
  if (presence === undefined) return '-';
  const { running, queued } = presence;
  const parts = [running > 0 ? `${running} running` : undefined, queued > 0 ? `${queued} queued` : undefined].filter((part) => part !== undefined);
  return parts.length === 0 ? 'free' : parts.join(', ');
}
