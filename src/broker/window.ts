/** How much may be on the way at once, in items and in bytes; whoever wants to add more waits for room. */
interface Entry {
  readonly addedAtMs: number;
  readonly bytes: number;
}

export interface WindowSize {
  readonly items: number;
  readonly bytes: number;
}

export class Window<Item> {
  readonly #size: WindowSize;
  /** Oldest first. */
  readonly #entries = new Map<Item, Entry>();
  #bytes = 0;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(size: WindowSize) {
    this.#size = size;
  }

  has(item: Item): boolean {
    return this.#entries.has(item);
  }

  /** True when one more may be added: the last one may go over the bytes, however large it is. */
  get hasRoom(): boolean {
    return this.#entries.size < this.#size.items && this.#bytes < this.#size.bytes;
  }

  /** Resolves when there is room, or the window was closed. */
  async room(): Promise<void> {
    while (!this.#closed && !this.hasRoom) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Goes over the size when it must: what is on the way already has to be counted. */
  add(item: Item, entry: Entry): void {
    this.remove(item);
    this.#entries.set(item, entry);
    this.#bytes += entry.bytes;
  }

  /** What was added at `untilMs` or before and has not left. */
  olderThan(untilMs: number): Item[] {
    return [...this.#entries].filter(([, entry]) => entry.addedAtMs <= untilMs).map(([item]) => item);
  }

  /** What was asked about is not old any more; its place is the same. */
  renew(item: Item, atMs: number): void {
    const entry = this.#entries.get(item);
    if (entry !== undefined) this.#entries.set(item, { ...entry, addedAtMs: atMs });
  }

  remove(item: Item): void {
    const entry = this.#entries.get(item);
    if (entry === undefined) return;
    this.#entries.delete(item);
    this.#bytes -= entry.bytes;
    if (this.hasRoom) this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
