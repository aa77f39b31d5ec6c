/** An agent's work besides its answer, in lines for people. Thoughts are left to `--json`. */
import type { PlanStep, Progress, StepState, Usage } from '../domain/progress.ts';

const longestLine = 200;
const boxes: Readonly<Record<StepState, string>> = { pending: '[ ]', running: '[>]', done: '[x]', failed: '[!]' };

export class ProgressLines {
  readonly #tools = new Map<string, StepState>();
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
        return [`± ${oneLine(progress.path)}  ${changed(progress.patch)}`];
      case 'thought':
        return [];
      case 'usage':
        this.#usage = progress;
        return [];
    }
  }

  /** What it took, when the agent has said so. */
  closing(): string | undefined {
    if (this.#usage === undefined) return undefined;
    const { inputTokens, outputTokens, contextTokens, contextSize, cost } = this.#usage;
    const parts = [
      inputTokens === undefined ? undefined : `${grouped(inputTokens)} tokens in`,
      outputTokens === undefined ? undefined : `${grouped(outputTokens)} tokens out`,
      contextTokens === undefined || !contextSize ? undefined : `context ${Math.round((100 * contextTokens) / contextSize)} % of ${grouped(contextSize)}`,
      cost === undefined ? undefined : `${cost.amount.toFixed(cost.amount < 1 ? 4 : 2)} ${cost.currency}`.trim(),
    ].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : `usage: ${parts.join(', ')}`;
  }

  #tool({ call, title, tool, state }: Extract<Progress, { kind: 'tool' }>): string[] {
    const before = this.#tools.get(call);
    this.#tools.set(call, state);
    const name = oneLine(title === '' ? tool : title);
    const isOver = state === 'done' || state === 'failed';
    if (isOver) return before === state ? [] : [`● ${name} … ${state}`];
    return before === undefined ? [`● ${name}`] : [];
  }

  #steps(steps: readonly PlanStep[]): string[] {
    const before = new Map(this.#plan.map(({ text, state }) => [text, state]));
    this.#plan = steps;
    return steps.filter(({ text, state }) => before.get(text) !== state).map(({ text, state }) => `${boxes[state]} ${oneLine(text)}`);
  }
}

/** Lines added and removed by a unified diff. */
function changed(patch: string): string {
  const lines = patch.split('\n');
  const count = (sign: '+' | '-'): number => lines.filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3))).length;
  return `+${count('+')} -${count('-')}`;
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= longestLine ? line : `${line.slice(0, longestLine - 1)}…`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
