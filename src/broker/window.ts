/** How many of something may be on the way at once; whoever wants to add one more waits for room. */
export class Window<Item> {
  readonly #size: number;
  /** Each with the time it was added, oldest first. */
  readonly #items = new Map<Item, number>();
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(size: number) {
    this.#size = size;
  }

  has(item: Item): boolean {
    return this.#items.has(item);
  }

  /** Resolves when there is room, or the window was closed. */
  async room(): Promise<void> {
    while (!this.#closed && this.#items.size >= this.#size) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Goes over the size when it must: what is on the way already has to be counted. */
  add(item: Item, nowMs: number): void {
    this.#items.set(item, nowMs);
  }

  /** What was added at `untilMs` or before and has not left. */
  olderThan(untilMs: number): Item[] {
    return [...this.#items].filter(([, addedAtMs]) => addedAtMs <= untilMs).map(([item]) => item);
  }

  remove(item: Item): void {
    if (this.#items.delete(item)) this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
