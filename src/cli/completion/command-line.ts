/** A command line as bash hands it over: unsplit, since bash itself splits at `@`, `=` and `:`. */

export interface Line {
  /** Without quotes; the last one is where the cursor is, and may be empty. */
  readonly words: readonly string[];
  /** The last one as typed. */
  readonly raw: string;
}

/** The words of one simple command up to the cursor; what it is called, and variables set before it, are left out. */
export function splitLine(line: string): Line {
  const words: { text: string; raw: string }[] = [];
  let word: { text: string; raw: string } | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (quote === '' && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= { text: '', raw: '' };
    word.raw += character;
    if (quote === '' && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = '';
    else if (character === '\\' && quote !== "'") {
      at += 1;
      word.raw += line.charAt(at);
      word.text += line.charAt(at);
    } else word.text += character;
  }
  words.push(word ?? { text: '', raw: '' });
  const first = words.findIndex(({ text }) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(text));
  const own = words.slice(first + 1);
  return { words: own.map(({ text }) => text), raw: own.at(-1)?.raw ?? '' };
}

/** Word breaks that bash keeps with the word behind them (`rl_special_prefixes` of readline, as bash sets it). */
const prefixes = '$@';

/**
 * What bash is to put in place of the last word: it replaces only what stands behind the last of its word breaks, unless a
 * quote is open, and then what stands behind the quote.
 */
export function forBash(values: readonly string[], { raw, words }: Line, breaks: string): string[] {
  const current = words.at(-1) ?? '';
  if (raw.startsWith("'") || raw.startsWith('"')) return values.filter((value) => value.startsWith(current));
  const last = current.split('').findLastIndex((character) => breaks.includes(character));
  const kept = prefixes.includes(current.charAt(last)) ? Math.max(0, last) : last + 1;
  return values.filter((value) => value.startsWith(current)).map((value) => value.slice(kept));
}
