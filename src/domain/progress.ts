/**
 * What an agent tells of its work besides its answer: kept as events of the flight, shown on stderr, never part of the
 * answer. Bounded, whatever the agent sent.
 */
export const stepStates = ['pending', 'running', 'done', 'failed'] as const;
export type StepState = (typeof stepStates)[number];

export interface PlanStep {
  readonly text: string;
  readonly state: StepState;
}

export type Progress =
  /** One report on one use of a tool; `call` is the same in all reports on it. */
  | { readonly kind: 'tool'; readonly call: string; readonly title: string; readonly tool: string; readonly state: StepState }
  /** The whole plan as it is now. */
  | { readonly kind: 'plan'; readonly steps: readonly PlanStep[] }
  /** A file that the agent changed or wants to change, as a unified diff (of at most `longestDiff` characters). */
  | { readonly kind: 'diff'; readonly path: string; readonly patch: string }
  | { readonly kind: 'thought'; readonly text: string }
  /** Totals so far of the session's work, as its agent counts them; what it does not say is absent. */
  | ({ readonly kind: 'usage' } & Usage);

export interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Of the context window: in use, and its size. */
  readonly contextTokens?: number;
  readonly contextSize?: number;
  readonly cost?: { readonly amount: number; readonly currency: string };
}

/** Characters: more is cut off. */
export const longestTitle = 1024;
export const longestThought = 16 * 1024;
export const longestDiff = 24 * 1024;
export const mostSteps = 64;
const longestCurrency = 16;

/** As it is kept: within the bounds above. */
export function bounded(progress: Progress): Progress {
  switch (progress.kind) {
    case 'tool':
      return { ...progress, call: cut(progress.call, longestTitle), title: cut(progress.title, longestTitle), tool: cut(progress.tool, longestTitle) };
    case 'plan':
      return { ...progress, steps: progress.steps.slice(0, mostSteps).map(({ text, state }) => ({ text: cut(text, longestTitle), state })) };
    case 'diff':
      return { ...progress, path: cut(progress.path, longestTitle), patch: cut(progress.patch, longestDiff) };
    case 'thought':
      return { ...progress, text: cut(progress.text, longestThought) };
    case 'usage':
      return { kind: 'usage', ...counts(progress), ...cost(progress.cost) };
  }
}

/** About how many bytes it takes. */
export function sizeOfProgress(progress: Progress): number {
  switch (progress.kind) {
    case 'tool':
      return progress.call.length + progress.title.length + progress.tool.length;
    case 'plan':
      return progress.steps.reduce((sum, { text }) => sum + text.length, 0);
    case 'diff':
      return progress.path.length + progress.patch.length;
    case 'thought':
      return progress.text.length;
    case 'usage':
      return 64;
  }
}

/** Text that is not well-formed would not come back from the wire as it went. */
function cut(text: string, longest: number): string {
  return (text.length <= longest ? text : `${text.slice(0, longest - 1)}…`).toWellFormed();
}

const counted = ['inputTokens', 'outputTokens', 'contextTokens', 'contextSize'] as const;

function counts(usage: Usage): Partial<Record<(typeof counted)[number], number>> {
  return Object.fromEntries(counted.map((key) => [key, usage[key]]).filter(([, value]) => Number.isSafeInteger(value) && Number(value) >= 0));
}

function cost(cost: Usage['cost']): Pick<Usage, 'cost'> {
  if (cost === undefined || !Number.isFinite(cost.amount) || cost.amount < 0) return {};
  return { cost: { amount: cost.amount, currency: cut(cost.currency, longestCurrency) } };
}
