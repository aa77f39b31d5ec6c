/**
 * Where each key and value of a TOML document stands, for messages about what a parser took and we do not. The parser
 * has been over the document: what is read here is well formed, so nothing is checked (TOML 1.1, https://toml.io).
 */

/** Both from 1; columns are characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

/** One key, element or table: offsets of its key and of its value. */
interface Spot {
  key?: number | undefined;
  value?: number | undefined;
  /** Of an array of tables: what a header below it means. */
  last?: Spot;
  readonly inside: Map<string, Spot>;
}

export class TomlPlaces {
  readonly #text: string;
  readonly #root: Spot;

  constructor(text: string) {
    this.#text = text;
    this.#root = new Scan(text).document();
  }

  /** Of the last key of the path, as far as the path leads; undefined when not even its beginning is there. */
  keyOf(path: Path): Place | undefined {
    return this.#place(path, ({ key, value }) => key ?? value);
  }

  /** Of what stands at the path, as far as the path leads; a table's is its header. */
  valueOf(path: Path): Place | undefined {
    return this.#place(path, ({ key, value }) => value ?? key);
  }

  #place(path: Path, pick: (spot: Spot) => number | undefined): Place | undefined {
    let [spot, at]: [Spot | undefined, number | undefined] = [this.#root, undefined];
    for (const step of path) {
      spot = spot.inside.get(String(step));
      if (spot === undefined) break;
      at = pick(spot) ?? at;
    }
    return at === undefined ? undefined : placeAt(this.#text, at);
  }
}

export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset).replace(/^\ufeff/, '').split('\n');
  return { line: before.length, column: Array.from(before.at(-1) ?? '').length + 1 };
}

const newSpot = (): Spot => ({ inside: new Map() });

interface KeyPart {
  readonly name: string;
  readonly at: number;
}

class Scan {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Spot {
    const root = newSpot();
    let table = root;
    for (this.#skipVoid(); this.#at < this.#text.length; this.#skipVoid()) {
      if (this.#next() === '[') table = this.#header(root);
      else this.#pair(table);
    }
    return root;
  }

  #header(root: Spot): Spot {
    const isArray = this.#text.startsWith('[[', this.#at);
    this.#at += isArray ? 2 : 1;
    const key = this.#key();
    const spot = enter(root, key);
    this.#at += isArray ? 2 : 1;
    spot.value ??= spot.key;
    if (!isArray) return spot;
    const element = newSpot();
    // Of this header: the key of the list is in the first of them.
    element.value = key.at(-1)?.at;
    spot.inside.set(String(spot.inside.size), element);
    spot.last = element;
    return element;
  }

  #pair(table: Spot): void {
    const spot = enter(table, this.#key());
    // The equals sign.
    this.#at += 1;
    this.#skipBlank();
    this.#value(spot);
  }

  #key(): readonly KeyPart[] {
    const parts: KeyPart[] = [];
    for (;;) {
      this.#skipBlank();
      const at = this.#at;
      const isQuoted = /["']/.test(this.#next());
      if (isQuoted) this.#skipString();
      else this.#at = this.#find(/[^\w-]/g);
      const written = this.#text.slice(at, this.#at);
      parts.push({ name: isQuoted ? unquoted(written) : written, at });
      this.#skipBlank();
      if (this.#next() !== '.') return parts;
      this.#at += 1;
    }
  }

  #value(spot: Spot): void {
    spot.value = this.#at;
    const first = this.#next();
    if (first === '"' || first === "'") this.#skipString();
    else if (first === '[') this.#array(spot);
    else if (first === '{') this.#inlineTable(spot);
    // Numbers, dates (which may have a blank inside) and truth values.
    else this.#at = this.#find(/[,\]}#\n]/g);
  }

  #array(spot: Spot): void {
    this.#items(']', () => {
      const element = newSpot();
      spot.inside.set(String(spot.inside.size), element);
      this.#value(element);
    });
  }

  #inlineTable(spot: Spot): void {
    this.#items('}', () => this.#pair(spot));
  }

  #items(end: string, item: () => void): void {
    this.#at += 1;
    for (this.#skipVoid(); this.#at < this.#text.length && this.#next() !== end; this.#skipVoid()) {
      item();
      this.#skipVoid();
      if (this.#next() === ',') this.#at += 1;
    }
    this.#at += 1;
  }

  #skipString(): void {
    const quote = this.#next();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = isLong ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) this.#at += quote === '"' && this.#next() === '\\' ? 2 : 1;
    this.#at += end.length;
    // A long one may end with quotes of its own.
    while (isLong && this.#next() === quote) this.#at += 1;
  }

  /** Blanks, line ends and comments. */
  #skipVoid(): void {
    for (;;) {
      this.#at = this.#find(/[^\s\ufeff]/g);
      if (this.#next() !== '#') return;
      this.#at = this.#find(/\n/g);
    }
  }

  #skipBlank(): void {
    this.#at = this.#find(/[^ \t]/g);
  }

  #next(): string {
    return this.#text.charAt(this.#at);
  }

  /** Where the pattern is found next, or the end. */
  #find(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.index ?? this.#text.length;
  }
}

/** Makes what is missing on the way; through an array of tables the way leads into its last. */
function enter(table: Spot, key: readonly KeyPart[]): Spot {
  let spot = table;
  for (const [index, { name, at }] of key.entries()) {
    const known = spot.inside.get(name);
    const next = known ?? newSpot();
    next.key ??= at;
    spot.inside.set(name, next);
    spot = index < key.length - 1 ? (next.last ?? next) : next;
  }
  return spot;
}

const escapes: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\u001b' };

function unquoted(written: string): string {
  const text = written.slice(1, -1);
  if (written.startsWith("'")) return text;
  return text.replaceAll(/\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/gsu, (_whole, x?: string, u?: string, U?: string, one = '') => {
    const hex = x ?? u ?? U;
    return hex === undefined ? (escapes[one] ?? one) : String.fromCodePoint(Number.parseInt(hex, 16));
  });
}
