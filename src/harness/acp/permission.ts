/** What an agent may do without asking, how the rest is put to people, and what it is told of their answer. */
import type { Permissions } from '../../domain/invocation.ts';
import type { Answer, Ask } from '../../domain/request.ts';
import type { PermissionOption } from './answers.ts';
import { isInside } from './inside.ts';
import { pathIn } from './patch.ts';
import type { KnownCall } from './updates.ts';

/** The answer as the protocol has it. */
export type Outcome = { readonly outcome: 'selected'; readonly optionId: string } | { readonly outcome: 'cancelled' };

export const cancelled: Outcome = { outcome: 'cancelled' };

/** With `edit`: reading and editing, where everything that the agent names is in its own directory, and it names something. */
export async function isAllowed(permissions: Permissions, cwd: string, call: Pick<KnownCall, 'work' | 'paths' | 'changes'>): Promise<boolean> {
  switch (permissions) {
    case 'full':
      return true;
    case 'ask':
      return false;
    case 'edit': {
      if (call.work !== 'read' && call.work !== 'edit' && call.work !== 'search') return false;
      const named = [...call.paths, ...call.changes.map((change) => change.path)];
      const inside = await Promise.all(named.map((path) => isInside(cwd, path)));
      return named.length > 0 && inside.every(Boolean);
    }
  }
}

/** Title, then what is to be done, a line each. */
export function askFor(cwd: string, call: KnownCall, options: readonly PermissionOption[]): Ask {
  const lines = [call.title || call.tool];
  if (call.command !== undefined && !lines[0]?.includes(call.command)) lines.push(`command: ${call.command}`);
  const changed = new Set(call.changes.map((change) => change.path));
  for (const { path, added, removed } of call.changes) lines.push(`change: ${path} (+${added} −${removed})`);
  for (const path of new Set(call.paths.map((each) => pathIn(cwd, each)))) if (!changed.has(path)) lines.push(`path: ${path}`);
  return { reason: 'approval', prompt: lines.join('\n'), choices: options.map((option) => option.name) };
}

/** Yes is for this once, if the agent knows such a yes. A no that it has no word for is the end of its turn. */
export function outcomeOf(answer: Answer, options: readonly PermissionOption[]): Outcome {
  switch (answer.kind) {
    case 'approved':
      return selected(options, 'allow_once') ?? selected(options, 'allow_always') ?? cancelled;
    case 'denied':
    case 'timeout':
    case 'text':
      return selected(options, 'reject_once') ?? cancelled;
    case 'ended':
      return cancelled;
  }
}

function selected(options: readonly PermissionOption[], kind: string): Outcome | undefined {
  const option = options.find((each) => each.kind === kind);
  return option === undefined ? undefined : { outcome: 'selected', optionId: option.optionId };
}
