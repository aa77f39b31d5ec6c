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

/** The lines of a table: heads in dim capitals, cells padded to their column; text from elsewhere is made harmless first. */
export function tableLines(colours: Colours, heads: readonly string[], rows: readonly (readonly (Cell | string)[])[]): string[] {
  const cells = rows.map((row) => row.map((cell) => harmless(cell)));
  const widths = heads.map((head, column) => Math.max(widthOf(head), ...cells.map((row) => widthOf(row[column]?.text ?? ''))));
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
