/** What the attacks showed, case by case, when all have run: the list that goes with a release. */
import type { Reporter, TestModule } from 'vitest/node';
import type { AttackNote } from '../test/support/attack.ts';

export default class AttackList implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()].map((test) => ({ name: test.fullName, state: test.result().state, note: test.meta().attack })));
    const shown = cases.filter(({ note }) => note !== undefined);
    if (cases.length === 0) return;
    console.log(`\n${shown.length} of ${cases.length} attacks were refused, logged, stored nothing, and the node went on serving:\n`);
    for (const [index, { name, note }] of shown.entries()) if (note !== undefined) console.log(lineOf(index + 1, name, note));
    for (const { name, state } of cases.filter(({ note }) => note === undefined)) console.log(`-- ${name}: ${state}`);
  }
}

function lineOf(number: number, name: string, { refused, logged, audit, servedMs, grewMb, shows }: AttackNote): string {
  return `${String(number).padStart(2)}. ${name}: ${shows} [told: ${refused}; log: ${logged.slice(0, 110)}; audit: ${audit === '' ? 'nothing' : audit}; served after it in ${servedMs} ms; +${grewMb} MB]`;
}
