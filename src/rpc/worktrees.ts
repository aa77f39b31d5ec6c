/** Worktrees and their diffs: wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import { longestDiffPath, mostDiffFiles, mostNested } from '../domain/worktree.ts';
import type { DiffSummary, Isolation, WorktreeStart, WorktreeVerb } from '../domain/worktree.ts';
import type * as wire from '../gen/beckon/v1/worktree.ts';
import { worktreeState } from './enums.ts';
import { invalid } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { list, name, optionalText, optionalWhole, present, required, text, whole } from './fields.ts';

export function encodeWorktreeStart({ head, branch, dirty }: WorktreeStart): wire.WorktreeStart {
  return { head, branch, dirty };
}

export function decodeWorktreeStart(message: wire.WorktreeStart): WorktreeStart {
  return { head: objectName(message.head, 'worktree.head'), branch: name(message.branch, 'worktree.branch'), dirty: whole(message.dirty, 'worktree.dirty') };
}

export function encodeIsolation(isolation: Isolation): wire.Isolation {
  return { start: encodeWorktreeStart(isolation), state: worktreeState.toWire(isolation.state), path: isolation.path ?? '' };
}

export function decodeIsolation(message: wire.Isolation): Isolation {
  return {
    ...decodeWorktreeStart(required(message.start, 'isolation.start')),
    state: worktreeState.fromWire(message.state),
    ...present({ path: optionalText(message.path, 'isolation.path') }),
  };
}

export function encodeDiffSummary(summary: DiffSummary): wire.DiffSummary {
  return {
    ...summary,
    files: summary.files.map(({ path, added, removed }) => ({ path, added, removed })),
    nested: [...summary.nested],
  };
}

export function decodeDiffSummary(message: wire.DiffSummary): DiffSummary {
  return {
    head: objectName(message.head, 'diff.head'),
    dirty: whole(message.dirty, 'diff.dirty'),
    tree: objectName(message.tree, 'diff.tree'),
    patchBytes: whole(message.patchBytes, 'diff.patch_bytes'),
    truncated: message.truncated,
    files: list(message.files, 'diff.files', mostDiffFiles).map((file) => ({
      path: text(file.path, 'diff.path', longestDiffPath),
      ...present({ added: optionalWhole(file.added, 'diff.added'), removed: optionalWhole(file.removed, 'diff.removed') }),
    })),
    fileCount: whole(message.fileCount, 'diff.file_count'),
    nested: list(message.nested, 'diff.nested', mostNested).map((each) => text(each, 'diff.nested', longestDiffPath)),
  };
}

/** What a person may make of a worktree. */
export function decodeSettle(state: number, tree: string): { verb: WorktreeVerb; tree?: string } {
  const verb = worktreeState.fromWire(state);
  if (verb !== 'fetched' && verb !== 'discarded') throw invalid(`a worktree can’t be made ${verb}`);
  return { verb, ...present({ tree: optionalObjectName(tree, 'worktree.tree') }) };
}

export function optionalObjectName(value: string, field: string): string | undefined {
  return value === '' ? undefined : objectName(value, field);
}

/** What git calls a commit or a tree. It is shown, and given to git. */
function objectName(value: string, field: string): string {
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(value)) throw invalid(`${field} is no name of a git object: ${quoted(value, 70)}`);
  return value;
}
