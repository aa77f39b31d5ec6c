/** What every bench gives: figures for machines, rows for people. */

export interface BenchContext {
  /** How far it has come, for whoever waits. Never on stdout. */
  readonly tell: (text: string) => void;
  /** Of the command line: each bench says which it knows. */
  readonly options: Readonly<Record<string, number>>;
  readonly signal: AbortSignal;
}

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  /** Not in the table of the README. */
  readonly isDetail?: true;
}

/** What the design asks of a figure, judged here and now. */
export interface Goal {
  readonly what: string;
  readonly kind: 'must' | 'moonshot';
  readonly isMet: boolean;
}

export interface BenchResult {
  /** Under the bench's name in the JSON. */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  /** What a reader of the figures must know to read them right. */
  readonly notes: readonly string[];
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  /** Whole numbers that it takes as `--NAME`, each with its default. */
  readonly options: Readonly<Record<string, number>>;
  run(context: BenchContext): Promise<BenchResult>;
}

/** What a peer did at work like that of a bench. */
export interface Compared {
  /** Under the program's name in the JSON. */
  readonly name: string;
  readonly what: string;
  readonly rps: number;
  readonly figure: string;
}

/** A program of others that is measured beside a bench, when it is installed. */
export interface Comparison {
  /** Looked for on PATH. */
  readonly program: string;
  /** The bench that it is compared with: measured before and after it, in the same run. */
  readonly beside: string;
  version(): string;
  run(signal: AbortSignal): Promise<readonly Compared[]>;
}
