/** Aligned columns for people. */
import { neutralise } from '../domain/text.ts';
import type { Colours, Output } from './output.ts';

export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const gap = '  ';

/** The width of a text in characters; good enough for names, addresses, states and times. */
function widthOf(text: string): number {
  return Array.from(text).length;
}

/**
 * The lines of a table: heads in dim capitals, cells padded to their column; text from elsewhere is made harmless first.
 * @param mostColumns of the terminal, for lines that are to fit it
 */
export function tableLines(colours: Colours, heads: readonly string[], rows: readonly (readonly (Cell | string)[])[], mostColumns = Number.POSITIVE_INFINITY): string[] {
  const whole = rows.map((row) => row.map((cell) => harmless(cell)));
  const natural = heads.map((head, column) => whole.reduce((most, row) => Math.max(most, widthOf(row[column]?.text ?? '')), widthOf(head)));
  const widths = fitted(natural, heads.map(widthOf), mostColumns);
  const cells = whole.map((row) => row.map((cell, column) => cut(cell, widths[column] ?? 0)));
  const render = (row: readonly Cell[]): string =>
    row
      .map(({ text, paint }, column) => {
        const isLast = column === row.length - 1;
        const padding = isLast ? '' : ' '.repeat((widths[column] ?? 0) - widthOf(text));
        return `${paint === undefined ? text : paint(text)}${padding}`;
      })
      .join(gap)
      .trimEnd();
  return [render(heads.map((head) => ({ text: head.toUpperCase(), paint: colours.dim }))), ...cells.map(render)];
}

/** Narrower until they fit: the last column first, which holds reasons, then whatever is widest. Heads stay whole. */
function fitted(natural: readonly number[], least: readonly number[], mostColumns: number): readonly number[] {
  const widths = [...natural];
  const last = widths.length - 1;
  const widthAt = (column: number): number => widths[column] ?? 0;
  for (let over = widths.reduce((sum, width) => sum + width, gap.length * last) - mostColumns; over > 0; over -= 1) {
    const giving = [...widths.keys()].filter((column) => widthAt(column) > (least[column] ?? 0));
    const column = giving.includes(last) ? last : giving.toSorted((a, b) => widthAt(b) - widthAt(a))[0];
    if (column === undefined) break;
    widths[column] = widthAt(column) - 1;
  }
  return widths;
}

function cut({ text, ...cell }: Cell, width: number): Cell {
  const characters = Array.from(text);
  return { ...cell, text: characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…` };
}

export async function table(out: Output, heads: readonly string[], rows: readonly (readonly (Cell | string)[])[]): Promise<void> {
  for (const line of tableLines(out.colours, heads, rows)) await out.line(line);
}

/** `name  value` lines, for one record. */
export async function facts(out: Output, pairs: readonly (readonly [name: string, value: string | undefined])[]): Promise<void> {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([name]) => widthOf(name)));
  for (const [name, value] of shown) {
    await out.line(`${out.colours.dim(name.padEnd(width))}${gap}${neutralise(value ?? '')}`);
  }
}

function harmless(cell: Cell | string): Cell {
  if (typeof cell === 'string') return { text: neutralise(cell).replaceAll('\n', ' ') };
  return { ...cell, text: neutralise(cell.text).replaceAll('\n', ' ') };
}
