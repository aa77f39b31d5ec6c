/** A change of a file as a unified diff, and how large it is. */
import { createTwoFilesPatch } from 'diff';
import { isAbsolute, relative } from 'node:path';

/** Characters of both texts together, beyond which nothing is compared: it would hold up the node. */
const mostCompared = 512 * 1024;
/** Lines added and removed, and milliseconds, beyond which comparing is given up. */
const mostEdits = 2000;
const mostMs = 20;

export interface Change {
  /** Below the agent's directory as it is seen from there, else as the agent gave it. */
  readonly path: string;
  readonly patch: string;
  readonly added: number;
  readonly removed: number;
}

/** @param before undefined for a file that was not there */
export function changeOf(cwd: string, path: string, before: string | undefined, after: string): Change {
  const shown = pathIn(cwd, path);
  const [from, to] = before === undefined ? ['/dev/null', shown] : [shown, shown];
  const isSmall = (before?.length ?? 0) + after.length <= mostCompared;
  const patch = isSmall ? createTwoFilesPatch(from, to, before ?? '', after, undefined, undefined, { context: 3, maxEditLength: mostEdits, timeout: mostMs }) : undefined;
  if (patch === undefined) return { path: shown, patch: `--- ${from}\n+++ ${to}\n(too large to be compared)\n`, added: lines(after), removed: lines(before ?? '') };
  const body = patch.slice(patch.indexOf('--- ')).split('\n');
  const count = (sign: string): number => body.slice(2).filter((line) => line.startsWith(sign)).length;
  return { path: shown, patch: body.join('\n'), added: count('+'), removed: count('-') };
}

export function pathIn(cwd: string, path: string): string {
  const inside = isAbsolute(path) ? relative(cwd, path) : path;
  return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? path : inside;
}

function lines(text: string): number {
  return text === '' ? 0 : text.replace(/\n$/, '').split('\n').length;
}
