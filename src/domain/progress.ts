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
      return progress;
  }
}

function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
