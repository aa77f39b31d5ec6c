/** An agent's work besides its answer, in lines for people. Thoughts are left to `--json`. */
import type { PlanStep, Progress, StepState, Usage } from '../domain/progress.ts';

const longestLine = 200;
/** Lines of a change that are put before the person who has to approve it. */
const mostChanged = 20;
const boxes: Readonly<Record<StepState, string>> = { pending: '[ ]', running: '[>]', done: '[x]', failed: '[!]' };

interface Tool {
  readonly title: string;
  readonly state: StepState;
  /** Its line was shown. */
  readonly isShown: boolean;
}

export class ProgressLines {
  readonly #tools = new Map<string, Tool>();
  /** Of each path the last change, as lines added and removed. */
  readonly #changes = new Map<string, readonly string[]>();
  /** The change that the last tool wants to make. */
  #wanted: readonly string[] = [];
  #plan: readonly PlanStep[] = [];
  #usage: Usage | undefined;

  /** What is new in this report; often nothing. */
  of(progress: Progress): string[] {
    switch (progress.kind) {
      case 'tool':
        return this.#tool(progress);
      case 'plan':
        return this.#steps(progress.steps);
      case 'diff':
        return this.#diff(progress);
      case 'thought':
        return [];
      case 'usage':
        // Totals, told in parts: the last word on each counts.
        this.#usage = { ...this.#usage, ...progress };
        return [];
    }
  }

  /** The lines that what the agent asks about would change, once. */
  takeWanted(): readonly string[] {
    const wanted = this.#wanted;
    this.#wanted = [];
    const left = wanted.length - mostChanged;
    return left <= 1 ? wanted : [...wanted.slice(0, mostChanged), `… and ${left} more lines`];
  }

  /** What it took, when the agent has said so. */
  closing(): string | undefined {
    if (this.#usage === undefined) return undefined;
    const { inputTokens, outputTokens, contextTokens, contextSize, cost } = this.#usage;
    const parts = [
      // An agent that was stopped says 0, which is not so.
      !inputTokens ? undefined : `${grouped(inputTokens)} tokens in`,
      !outputTokens ? undefined : `${grouped(outputTokens)} tokens out`,
      contextTokens === undefined || !contextSize ? undefined : `context ${Math.round((100 * contextTokens) / contextSize)} % of ${grouped(contextSize)}`,
      cost === undefined ? undefined : `${cost.amount.toFixed(cost.amount < 1 ? 4 : 2)} ${cost.currency}`.trim(),
    ].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : `usage: ${parts.join(', ')}`;
  }

  /** A call that is only prepared has a title of its kind; its line waits for the one that says what is done. */
  #tool({ call, title, tool, state }: Extract<Progress, { kind: 'tool' }>): string[] {
    const before = this.#tools.get(call);
    const name = oneLine(title === '' ? tool : title);
    const isOver = state === 'done' || state === 'failed';
    const isNew = before?.isShown !== true && (state !== 'pending' || (before !== undefined && before.title !== name));
    this.#tools.set(call, { title: name, state, isShown: isNew || before?.isShown === true });
    if (before === undefined) this.#wanted = [];
    if (isOver) return before?.state === state ? [] : [`● ${name} … ${state}`];
    return isNew ? [`● ${name}`] : [];
  }

  /** Told again after it was made, it is no other change. */
  #diff({ path, patch }: Extract<Progress, { kind: 'diff' }>): string[] {
    const lines = changedLines(patch);
    const before = this.#changes.get(path);
    if (before !== undefined && before.join('\n') === lines.join('\n')) return [];
    this.#changes.set(path, lines);
    this.#wanted = [...this.#wanted, ...lines.map((line) => clipped(line))];
    const count = (sign: '+' | '-'): number => lines.filter((line) => line.startsWith(sign)).length;
    return [`± ${oneLine(path)}  +${count('+')} -${count('-')}`];
  }

  #steps(steps: readonly PlanStep[]): string[] {
    const before = new Map(this.#plan.map(({ text, state }) => [text, state]));
    this.#plan = steps;
    return steps.filter(({ text, state }) => before.get(text) !== state).map(({ text, state }) => `${boxes[state]} ${oneLine(text)}`);
  }
}

/** The lines that a unified diff adds and removes, signs included. */
function changedLines(patch: string): readonly string[] {
  return patch.split('\n').filter((line, at) => /^[+-]/.test(line) && !(at < 2 && /^(\+\+\+|---) /.test(line)));
}

function oneLine(text: string): string {
  return clipped(text.replaceAll(/\s+/g, ' ').trim());
}

function clipped(line: string): string {
  return line.length <= longestLine ? line : `${line.slice(0, longestLine - 1)}…`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
