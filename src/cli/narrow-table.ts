/** Tables that fit the terminal: columns that matter least go first, and the last one, which holds reasons, goes on below itself. */
import { neutralise } from '../domain/text.ts';
import type { Output } from './output.ts';
import { tableLines } from './table.ts';
import type { Cell } from './table.ts';

type Row = readonly (Cell | string)[];

/** Of the last column, before it is put below its row. */
const leastLast = 24;
const gap = 2;

export interface NarrowTable {
  readonly heads: readonly string[];
  readonly rows: readonly Row[];
  /** Heads of columns that go when there is no room, the first of them first. */
  readonly optional?: readonly string[];
}

/** Without a terminal, as wide as it is. @param columns of the terminal */
export function narrowTableLines(out: Output, { heads, rows, optional = [] }: NarrowTable, columns = out.isTerminal ? out.columns : Number.POSITIVE_INFINITY): string[] {
  const [shownHeads, shownRows] = kept(heads, rows, optional, columns);
  const lastHead = heads.at(-1) ?? '';
  const width = widthOf(shownHeads, shownRows);
  if (width <= columns) return tableLines(out.colours, shownHeads, shownRows);
  const room = columns - (width - lastWidth(lastHead, rows));
  const [indent, most] = room >= leastLast ? [' '.repeat(columns - room), room] : ['  ', columns - gap];
  const shown = shownRows.map((row) => ({ row, words: wrapped(textOf(row.at(-1) ?? ''), most) }));
  const isBeside = room >= leastLast;
  const [head = '', ...lines] = tableLines(out.colours, shownHeads, shown.map(({ row, words }) => [...row.slice(0, -1), isBeside ? (words[0] ?? '') : '']), columns);
  return [head, ...lines.flatMap((line, at) => [line, ...(shown[at]?.words ?? []).slice(isBeside ? 1 : 0).map((each) => `${indent}${each}`)])];
}

export async function narrowTable(out: Output, table: NarrowTable): Promise<void> {
  for (const line of narrowTableLines(out, table)) await out.line(line);
}

/** Heads and rows of the columns that are shown. */
export function kept(heads: readonly string[], rows: readonly Row[], optional: readonly string[], columns: number): [string[], Row[]] {
  let shown = [...heads.keys()];
  const pick = <Content>(row: readonly Content[]): Content[] => shown.flatMap((column) => row[column] ?? []) as Content[];
  const last = lastWidth(heads.at(-1) ?? '', rows);
  const needed = (): number => widthOf(pick(heads), rows.map(pick)) - last + Math.min(last, leastLast);
  for (const head of optional) {
    if (needed() <= columns) break;
    shown = shown.filter((column) => heads[column] !== head);
  }
  return [pick(heads), rows.map(pick)];
}

function widthOf(heads: Row, rows: readonly Row[]): number {
  return heads.reduce<number>((sum, head, column) => sum + rows.reduce((most, row) => Math.max(most, lengthOf(row[column] ?? '')), lengthOf(head)), gap * (heads.length - 1));
}

function lastWidth(head: string, rows: readonly Row[]): number {
  return rows.reduce((most, row) => Math.max(most, lengthOf(row.at(-1) ?? '')), head.length);
}

function textOf(cell: Cell | string): string {
  return neutralise(typeof cell === 'string' ? cell : cell.text).replaceAll('\n', ' ');
}

function lengthOf(cell: Cell | string): number {
  return Array.from(textOf(cell)).length;
}

/** Lines of at most so many characters, broken between words where there are any; none for nothing. */
export function wrapped(text: string, most: number): string[] {
  if (text !== '' && Array.from(text).length <= most) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').filter((each) => each !== '')) {
    const characters = Array.from(word);
    const isFull = line !== '' && Array.from(line).length + 1 + characters.length > most;
    if (isFull) {
      lines.push(line);
      line = '';
    }
    for (; characters.length > most; characters.splice(0, most)) lines.push(characters.slice(0, most).join(''));
    line = line === '' ? characters.join('') : `${line} ${characters.join('')}`;
  }
  return line === '' ? lines : [...lines, line];
}
