/** Collects what was asserted, of how many records, and each that broke it. */

/** Shown of each assertion; the rest is counted. */
const mostShown = 5;

interface Assertion {
  readonly guarantee: string;
  readonly statement: string;
  records: number;
  readonly broken: string[];
  brokenCount: number;
}

export class Verdict {
  readonly #assertions = new Map<string, Assertion>();

  /** Asserts of one record; `evidence` is made only when it does not hold. Without a record: see `about`. */
  that(guarantee: string, statement: string, holds: boolean, evidence: () => unknown): void {
    const assertion = this.about(guarantee, statement);
    assertion.records += 1;
    if (holds) return;
    assertion.brokenCount += 1;
    if (assertion.broken.length < mostShown) assertion.broken.push(JSON.stringify(evidence(), null, 1).replaceAll(/\n\s*/g, ' '));
  }

  /** Names an assertion, so that it is listed even when no record came under it. */
  about(guarantee: string, statement: string): Assertion {
    const name = `${guarantee} ${statement}`;
    let assertion = this.#assertions.get(name);
    if (assertion === undefined) {
      assertion = { guarantee, statement, records: 0, broken: [], brokenCount: 0 };
      this.#assertions.set(name, assertion);
    }
    return assertion;
  }

  get failed(): number {
    return this.#all.filter((each) => each.brokenCount > 0).length;
  }

  get passed(): number {
    return this.#all.length - this.failed;
  }

  /** One line an assertion, and below each broken one its evidence. */
  report(): string[] {
    const sorted = this.#all.toSorted((a, b) => (a.guarantee < b.guarantee ? -1 : a.guarantee > b.guarantee ? 1 : 0));
    return sorted.flatMap(({ guarantee, statement, records, broken, brokenCount }) => [
      `${brokenCount === 0 ? 'ok    ' : 'BROKEN'} ${guarantee} ${statement}: ${records} records${brokenCount === 0 ? '' : `, ${brokenCount} break it`}`,
      ...broken.map((each) => `         ${each}`),
      ...(brokenCount > broken.length ? [`         and ${brokenCount - broken.length} more`] : []),
    ]);
  }

  get #all(): Assertion[] {
    return [...this.#assertions.values()];
  }
}
