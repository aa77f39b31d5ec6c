/** The lists that git prints with `-z`, read. Paths that are not UTF-8 are shown with replacement characters. */
import { internal } from '../../domain/errors.ts';
import type { DiffFile } from '../../domain/worktree.ts';

/** `git diff-tree -z --numstat`: a renamed file has an empty path and then its old and its new one. */
export function parseNumstat(bytes: Uint8Array): DiffFile[] {
  const fields = split(bytes);
  const files: DiffFile[] = [];
  for (let at = 0; at < fields.length; at += 1) {
    const [added, removed, ...rest] = (fields[at] ?? '').split('\t');
    let path = rest.join('\t');
    if (path === '') {
      path = fields[at + 2] ?? '';
      at += 2;
    }
    if (added === undefined || removed === undefined || path === '') throw internal('git lists changed files in a form that is not known');
    files.push({ path, ...(added === '-' ? {} : { added: Number(added) }), ...(removed === '-' ? {} : { removed: Number(removed) }) });
  }
  return files;
}

/** `git diff-tree -z --raw --no-renames`: the paths where another repository stands, or stood. */
export function parseRaw(bytes: Uint8Array): string[] {
  const fields = split(bytes);
  const found: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before = '', after = ''] = (fields[at] ?? '').split(' ');
    if (before === ':160000' || after === '160000') found.push(fields[at + 1] ?? '');
  }
  return found;
}

/** `git status -z --porcelain=v2`: submodules that have commits or changes of their own. */
export function parseSubmodules(bytes: Uint8Array): string[] {
  const fields = split(bytes);
  const found: string[] = [];
  for (let at = 0; at < fields.length; at += 1) {
    const words = (fields[at] ?? '').split(' ');
    const [kind, , submodule = ''] = words;
    // A rename is followed by its old path.
    if (kind === '2') at += 1;
    const before = kind === '1' ? 8 : kind === '2' ? 9 : kind === 'u' ? 10 : undefined;
    if (before !== undefined && submodule.startsWith('S') && submodule !== 'S...') found.push(words.slice(before).join(' '));
  }
  return found;
}

function split(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes).split('\0').slice(0, -1);
}
