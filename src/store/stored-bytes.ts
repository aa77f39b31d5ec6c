/** How many bytes of tasks and output are stored, kept with each commit. */
import type { Connection } from './connection.ts';

export class StoredBytes {
  readonly #changes: number[] = [];
  readonly #get;
  readonly #add;

  constructor(db: Connection) {
    this.#get = db.prepare<[], { bytes: number }>('SELECT bytes FROM stored_sum WHERE one = 1');
    this.#add = db.prepare<[number]>('UPDATE stored_sum SET bytes = bytes + ? WHERE one = 1');
  }

  changed(by: number): void {
    if (by !== 0) this.#changes.push(by);
  }

  /** With what this batch has changed so far. */
  total(): number {
    return (this.#get.get()?.bytes ?? 0) + this.#pending();
  }

  mark(): number {
    return this.#changes.length;
  }

  backTo(mark: number): void {
    this.#changes.length = mark;
  }

  flush(): void {
    const by = this.#pending();
    this.#changes.length = 0;
    if (by !== 0) this.#add.run(by);
  }

  #pending(): number {
    return this.#changes.reduce((sum, each) => sum + each, 0);
  }
}
