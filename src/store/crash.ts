/** For tests of durability: a process that dies at a labelled step of its writer. */
import { invalid } from '../domain/errors.ts';
import { storeSteps } from './group-commit.ts';
import type { StoreStep } from './group-commit.ts';
import { writeNames } from './protocol.ts';
import type { Request } from './protocol.ts';

/** `WRITE:STEP`, or `WRITE:STEP:N` for the Nth write of that name in the process. */
export type CrashLabel = string;

/** Every place where a writer can be made to die. */
export const crashLabels: readonly CrashLabel[] = writeNames.flatMap((name) => storeSteps.map((step) => `${name}:${step}`));

interface CrashPoint {
  readonly write: string;
  readonly step: StoreStep;
  readonly nth: number;
}

/** @throws BrokerError `invalid` */
export function parseCrashLabel(label: CrashLabel): CrashPoint {
  const [write = '', step = '', nth = '1', ...rest] = label.split(':');
  const known = storeSteps.find((each) => each === step);
  if (!crashLabels.includes(`${write}:${step}`) || known === undefined || !/^[1-9]\d{0,8}$/.test(nth) || rest.length > 0) {
    throw invalid(`${label} is no step of a write`, `it looks like accept:before-commit or finish:after-commit:3; steps: ${storeSteps.join(', ')}`);
  }
  return { write, step: known, nth: Number(nth) };
}

/** @param die ends the process at once, as kill -9 does; it does not return */
export function crashAt(label: CrashLabel, die: () => void): (step: StoreStep, members: readonly Request[]) => void {
  const { write, step, nth } = parseCrashLabel(label);
  let seen = 0;
  return (at, members) => {
    if (at !== step) return;
    seen += members.filter((each) => each.name === write).length;
    if (seen >= nth) die();
  };
}
