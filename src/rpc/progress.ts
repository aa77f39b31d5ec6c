/** What an agent tells of its work: wire and domain. What is over the bounds is cut, so that no peer's taste breaks the stream. */
import { bounded } from '../domain/progress.ts';
import type { Progress, StepState } from '../domain/progress.ts';
import type * as wire from '../gen/beckon/v1/record.ts';
import { stepState } from './enums.ts';
import { present } from './fields.ts';

type ProgressBody = Extract<wire.FlightEvent['body'], { $case: Progress['kind'] }>;

export function encodeProgress(progress: Progress): ProgressBody {
  switch (progress.kind) {
    case 'tool': {
      const { call, title, tool, state } = progress;
      return { $case: 'tool', value: { call, title, tool, state: stepState.toWire(state) } };
    }
    case 'plan':
      return { $case: 'plan', value: { steps: progress.steps.map(({ text, state }) => ({ text, state: stepState.toWire(state) })) } };
    case 'diff':
      return { $case: 'diff', value: { path: progress.path, patch: progress.patch } };
    case 'thought':
      return { $case: 'thought', value: { text: progress.text } };
    case 'usage': {
      const { inputTokens, outputTokens, contextTokens, contextSize, cost } = progress;
      const costs = { costAmount: cost?.amount, costCurrency: cost?.currency ?? '' };
      return { $case: 'usage', value: { inputTokens, outputTokens, contextTokens, contextSize, ...costs } };
    }
  }
}

export function decodeProgress(body: ProgressBody): Progress {
  return bounded(decode(body));
}

function decode(body: ProgressBody): Progress {
  switch (body.$case) {
    case 'tool': {
      const { call, title, tool, state } = body.value;
      return { kind: 'tool', call, title, tool, state: stateOf(state) };
    }
    case 'plan':
      return { kind: 'plan', steps: body.value.steps.map(({ text, state }) => ({ text, state: stateOf(state) })) };
    case 'diff':
      return { kind: 'diff', path: body.value.path, patch: body.value.patch };
    case 'thought':
      return { kind: 'thought', text: body.value.text };
    case 'usage': {
      const { costAmount, costCurrency, ...counts } = body.value;
      return { kind: 'usage', ...present(counts), ...(costAmount === undefined ? {} : { cost: { amount: costAmount, currency: costCurrency } }) };
    }
  }
}

/** A state that only a newer version has: not over yet, as far as this one can tell. */
function stateOf(number: number): StepState {
  return stepState.knownFromWire(number) ?? 'running';
}
