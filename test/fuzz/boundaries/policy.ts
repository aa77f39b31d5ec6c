/** The policy file, and rules that a tailnet's policy carries as a capability: who may do what is decided by them. */
import { rulesOfCapability, policyCapability } from '../../../src/app/capability-rules.ts';
import { parsePolicyFile } from '../../../src/app/policy-file.ts';
import { decide, verbs } from '../../../src/domain/policy.ts';
import type { Question } from '../../../src/domain/policy.ts';
import { nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { jsonMutation } from '../engine/mutate-json.ts';
import { areToldWell, jsonIn, readersOf } from './readers.ts';

const nodeId = nodeIdOfPublicKey(new Uint8Array(32).fill(7));
const questions: readonly Question[] = verbs.map((verb) => ({ caller: { nodeId, name: 'tower', owner: 'bob' }, verb, target: { agent: 'fabric', workspace: 'main', labels: {} }, holderOf: () => nodeId }) as unknown as Question);

const readers = readersOf({
  file: (text) => {
    const { rules, flaws } = parsePolicyFile(text, '/policy.toml');
    areToldWell(text, flaws);
    if (flaws.length > 0) {
      holds(rules.length === 0, 'with a flaw there are no rules');
      return false;
    }
    decided(rules);
    return true;
  },
  capability: (text) => {
    const rules = rulesOfCapability({ name: 'tower', capabilities: new Map([[policyCapability, [jsonIn(text)]]]) });
    const broken = rules.filter(({ flaw }) => flaw !== undefined);
    holds(broken.every(({ effect, verbs: denied }) => effect === 'deny' && denied.length === verbs.length), 'rules that can not be understood deny everything');
    decided(rules);
    return broken.length === 0;
  },
});

function decided(rules: ReturnType<typeof rulesOfCapability>): void {
  for (const question of questions) {
    const { isAllowed } = decide(question, rules);
    holds(!isAllowed || !decide(question, [...rules, { effect: 'deny', verbs, from: [{ kind: 'all' }], source: { kind: 'default' } }]).isAllowed, 'a denial wins');
    holds(!isAllowed || rules.some(({ effect }) => effect === 'allow'), 'what no rule allows is denied');
  }
}

const capability = { allow: [{ agents: ['fabric', 're*'], verbs: ['invoke'] }], deny: [{ from: ['person:eve'], verbs: ['control', 'inspect'] }] };
const json = jsonMutation(['invoke', 'control', 'inspect', 'person:bob', 'node:tower', 'tag:ci', 'all', 'cap:example.com/cap/x', '*', '@fabric#main', 'fabric/main']);

export const policy: Boundary = {
  name: 'policy',
  what: 'policy.toml, and rules in a capability of the tailnet',
  seeds: () => ({
    'a file': readers.input('file', '[[allow]]\nfrom = ["person:bob", "tag:ci"]\nagents = ["deploy", "re*"]\nverbs = ["invoke"]\n\n[[deny]]\nfrom = ["node:tower"]\nverbs = ["control", "inspect"]\n'),
    'of a node id': readers.input('file', `[[allow]]\nfrom = ["node:${nodeId}", "all"]\nverbs = ["invoke"]\n`),
    'of a capability': readers.input('file', '[[deny]]\nfrom = ["cap:example.com/cap/beckon"]\nagents = ["@fabric#main"]\nverbs = ["invoke"]\n'),
    'a capability': readers.input('capability', JSON.stringify(capability)),
  }),
  words: ['[[allow]]\n', '[[deny]]\n', 'from = ["all"]\n', 'agents = ["*"]\n', 'verbs = ["invoke", "control", "inspect"]\n', 'person:', 'node:', 'tag:', 'cap:', '*', '?', '"""', '{ length = { toString = 0 } }', '__proto__', '#'],
  mutate: (input, dice, other) => {
    if ((input[0] ?? 0) % 2 === 1) return Buffer.concat([input.subarray(0, 1), json(input.subarray(1), dice, other.subarray(1))]);
    const [one, two] = [input, other].map((each) => Buffer.from(each.subarray(1)).toString('latin1').split('\n'));
    const lines = [...(one ?? [])];
    lines.splice(dice.between(0, lines.length), dice.between(0, 2), dice.pick(two ?? ['']));
    return Buffer.concat([input.subarray(0, 1), Buffer.from(lines.join('\n'), 'latin1')]);
  },
  open: () => ({ run: (input) => readers.run(input) }),
};
