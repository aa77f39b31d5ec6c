/** Several lists of ids, each in falling order by an index of its own, read as one. */
import type { InvocationId } from '../domain/ids.ts';

/** The next ones below an id, at most as many. */
export type ReadBelow = (before: string, count: number) => readonly InvocationId[];

/** One of the lists: read a little at a time, more each time that more is wanted. */
class Walk {
  readonly #read: ReadBelow;
  #ids: readonly InvocationId[];
  #at = 0;
  #size: number;

  constructor(read: ReadBelow, before: string, size: number) {
    this.#read = read;
    this.#size = size;
    this.#ids = read(before, size);
  }

  get head(): InvocationId | undefined {
    return this.#ids[this.#at];
  }

  pass(): void {
    const last = this.#ids[this.#at];
    this.#at += 1;
    if (this.#at < this.#ids.length || this.#ids.length < this.#size || last === undefined) return;
    this.#size *= 2;
    this.#ids = this.#read(last, this.#size);
    this.#at = 0;
  }
}

/** The newest ids of all lists, each below `before`, newest first: it reads about as many as it gives and one of each list. */
export function newestOf(lists: readonly ReadBelow[], before: string, count: number): InvocationId[] {
  const share = Math.ceil(count / Math.max(1, lists.length));
  const walks = lists.map((read) => new Walk(read, before, share)).filter(({ head }) => head !== undefined);
  // The newest last.
  walks.sort((a, b) => compare(a.head, b.head));
  const ids: InvocationId[] = [];
  for (;;) {
    const walk = walks.pop();
    if (walk?.head === undefined) break;
    ids.push(walk.head);
    if (ids.length === count) break;
    walk.pass();
    if (walk.head !== undefined) walks.splice(placeOf(walks, walk.head), 0, walk);
  }
  return ids;
}

function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where it goes among those that are in order. */
function placeOf(walks: readonly Walk[], id: InvocationId): number {
  let [low, high] = [0, walks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(walks[middle]?.head, id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
