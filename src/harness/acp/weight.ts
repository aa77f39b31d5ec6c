/**
 * What a line would become as values, told from its bytes alone: 16 MiB of `[[[[…` or `[],[],…` are half a gigabyte once they
 * are parsed, and seconds in which the node does nothing else. Text, of which real messages consist, costs next to nothing.
 */

/** Below it no line can be heavy. */
const lightBytes = 256 * 1024;
/** Values and names of one message. */
const mostValues = 200_000;

const quote = 0x22;
const backslash = 0x5c;
/** `[`, `{`, `,` and `:`: what begins a value, or parts two. */
const marks = new Set([0x5b, 0x7b, 0x2c, 0x3a]);

/** Whether it is not to be parsed. Of what is no JSON it says anything. */
export function isHeavy(line: Uint8Array): boolean {
  if (line.length <= lightBytes) return false;
  let values = 0;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at] ?? 0;
    if (byte === quote) at = endOfText(line, at);
    else if (marks.has(byte) && (values += 1) > mostValues) return true;
  }
  return false;
}

/** Of the quote that ends the text which begins at `from`. */
function endOfText(line: Uint8Array, from: number): number {
  for (let at = line.indexOf(quote, from + 1); at >= 0; at = line.indexOf(quote, at + 1)) {
    let escapes = 0;
    while (line[at - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return line.length;
}
