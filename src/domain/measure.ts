/**
 * What is counted while a node works: numbers in memory, whether or not anybody ever asks. To count costs a few
 * nanoseconds, which is less than it would to find out whether to.
 */

/** How often each of a closed list of things came about. */
export class Counts<Label extends string> {
  readonly labels: readonly Label[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #cells: Float64Array;

  /** @param cells one a label; those of another thread may be given, which then counts */
  constructor(labels: readonly Label[], cells: Float64Array = new Float64Array(labels.length)) {
    this.labels = labels;
    this.#places = new Map(labels.map((label, index) => [label, index]));
    this.#cells = cells;
  }

  /** One that is not on the list is not counted. */
  add(label: Label, by = 1): void {
    const place = this.#places.get(label);
    if (place !== undefined) this.#cells[place] = (this.#cells[place] ?? 0) + by;
  }

  of(label: Label): number {
    return this.#cells[this.#places.get(label) ?? -1] ?? 0;
  }

  /** All labels, also those that never came about. */
  entries(): readonly (readonly [Label, number])[] {
    return this.labels.map((label) => [label, this.of(label)]);
  }
}

/** A histogram as it is read. */
export interface DistributionReading {
  /** How many were at most `upTo`, for each bound; cumulative. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
  readonly count: number;
  readonly sum: number;
}

/** How large what was seen was, by bounds that are fixed. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** One a bound, one for what is above them, the sum. */
  readonly #cells: Float64Array;

  static cellsFor(bounds: readonly number[]): number {
    return bounds.length + 2;
  }

  /** @param bounds ascending; what equals one counts below it */
  constructor(bounds: readonly number[], cells: Float64Array = new Float64Array(Distribution.cellsFor(bounds))) {
    this.#bounds = bounds;
    this.#cells = cells;
  }

  observe(value: number): void {
    let place = 0;
    while (place < this.#bounds.length && value > (this.#bounds[place] ?? Infinity)) place += 1;
    this.#cells[place] = (this.#cells[place] ?? 0) + 1;
    const sum = this.#bounds.length + 1;
    this.#cells[sum] = (this.#cells[sum] ?? 0) + value;
  }

  read(): DistributionReading {
    let count = 0;
    const buckets = this.#bounds.map((upTo, index) => ({ upTo, count: (count += this.#cells[index] ?? 0) }));
    return { buckets, count: count + (this.#cells[this.#bounds.length] ?? 0), sum: this.#cells[this.#bounds.length + 1] ?? 0 };
  }
}

/** Seconds, from what a fast disk takes to what nobody would wait for. */
export const secondBounds: readonly number[] = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
