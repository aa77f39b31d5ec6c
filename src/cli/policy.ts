/** `policy`: who may do what with the agents of this machine, and which rule says so. */
import type { Command } from 'commander';
import type { PolicyCheck, PolicyView, RuleView } from '../client/types.ts';
import { flawWords } from '../domain/config-view.ts';
import { BrokerError, invalid } from '../domain/errors.ts';
import { verbs } from '../domain/policy.ts';
import type { Verb } from '../domain/policy.ts';
import { neutralise, quoted } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOfError, exitOk } from './exit.ts';
import { checkAddress, examples } from './options.ts';
import type { Register } from './options.ts';
import { table } from './table.ts';

export function definePolicy(program: Command, on: Register): void {
  const policy = program
    .command('policy')
    .description('Who may do what with the agents of this machine: by default its own person all, and others what is shared with them.')
    .addHelpText('after', examples('beckon policy show', 'beckon policy check bob invoke deploy'));
  on(
    policy
      .command('show')
      .description('Show every rule in force and where it comes from: the default, the policy file, a share, a capability of the tailnet.')
      .addHelpText('after', examples('beckon policy show', 'beckon policy show --json')),
    show,
  );
  on(
    policy
      .command('check')
      .argument('<caller>', 'a node or a person: NAME, node:NAME, person:NAME, tag:NAME or cap:NAME')
      .argument('<verb>', verbs.join(', '))
      .argument('<address>', 'an agent of this node')
      .description('Say whether that caller may do that, and which rule decides it. Exit 0: allowed; 5: not. Nothing is done.')
      .addHelpText('after', examples('beckon policy check bob invoke deploy', 'beckon policy check node:studio control deploy@laptop/main', 'beckon policy check cap:example.com/cap/deployers invoke deploy --json')),
    check,
  );
}

async function show(context: Context): Promise<number> {
  const { out } = context;
  const view = await withNode(context, (client) => client.showPolicy());
  if (out.isJson) await out.json(documentOf(view));
  else await tell(context, view);
  return exitOk;
}

async function check(context: Context, [caller = '', verb = '', address = '']: readonly string[]): Promise<number> {
  const { out } = context;
  checkAddress(address);
  const checked = await withNode(context, (client) => client.checkPolicy({ caller, verb: verbOf(verb), address }));
  const { isAllowed, rule, notes, ...rest } = checked;
  if (out.isJson) await out.json({ allowed: isAllowed, ...rest, rule: rule ?? null, notes });
  else {
    const { green, red } = out.colours;
    await out.line(`${isAllowed ? green('allowed') : red('denied')}: ${neutralise(wordsOf(checked))}`);
    for (const note of [...notes, ...(rule?.notes ?? [])]) out.note(out.dim(neutralise(note)));
  }
  return isAllowed ? exitOk : exitOfError('denied');
}

function verbOf(text: string): Verb {
  const verb = verbs.find((each) => each === text);
  if (verb === undefined) throw invalid(`${quoted(text)} is no verb of the policy`, `one of ${verbs.join(', ')}`);
  return verb;
}

function wordsOf({ isAllowed, caller, verb, address, rule }: PolicyCheck): string {
  const may = `${caller} ${isAllowed ? 'may' : 'may not'} ${verb} ${address}`;
  return `${may}: ${rule === undefined ? (isAllowed ? 'it is that node’s own' : 'no rule allows it') : `${placeOf(rule)} ${rule.effect === 'allow' ? 'allows' : 'denies'} ${rule.verbs.join(', ')} to ${rule.from.join(', ')}`}`;
}

function placeOf({ source, where }: RuleView): string {
  switch (source) {
    case 'default':
      return 'the default';
    case 'file':
      return where;
    case 'share':
      return `agent share of ${where}`;
    case 'capability':
      return `the capability ${where}`;
  }
}

function wordsOfStanding({ kind, why, tags, capabilities }: PolicyView['callers'][number]): string {
  const has = [...tags, ...capabilities.map((each) => `cap:${each}`)];
  if (kind === 'known') return has.length === 0 ? 'no tags and no capabilities' : has.join(', ');
  return `tags and capabilities are ${kind === 'none' ? 'not asked for' : 'not known'}: ${why}`;
}

async function tell({ out }: Context, { owner, file, rules, moreShares, callers }: PolicyView): Promise<void> {
  const { green, red } = out.colours;
  const rows = rules.map((rule) => [{ text: rule.effect, paint: rule.effect === 'allow' ? green : red }, rule.from.join(', '), rule.verbs.join(', '), rule.agents.join(', '), rule.source === 'default' ? 'default' : placeOf(rule)]);
  await table(out, ['rule', 'from', 'verbs', 'agents', 'because of'], rows);
  for (const note of new Set(rules.flatMap(({ notes }) => notes))) out.note(out.dim(neutralise(note)));
  if (moreShares > 0) out.note(`${moreShares} more shares are not listed: beckon agent show ADDRESS has those of one agent`);
  for (const [words, names] of Map.groupBy(callers, wordsOfStanding)) out.note(out.dim(neutralise(`${names.map(({ name }) => name).join(', ')}: ${words}`)));
  out.note(out.dim(neutralise(`a denial wins, and what no rule allows is denied; this node belongs to ${owner}; its own calls are not judged`)));
  for (const flaw of file.flaws) out.error(new BrokerError('invalid', flawWords(flaw), { hint: flaw.hint }));
  if (file.flaws.length > 0) out.note('the node goes on with the rules that it read before; it would not start with this');
  else if (file.isStale) out.note(`${file.path} has changed since it was read: to have the node take it: kill -HUP and its process, which beckon status names`);
  else if (!file.exists) out.note(out.dim(`there is no ${file.path}`));
}

function documentOf({ owner, file, rules, moreShares, callers }: PolicyView): object {
  const { path, exists, isStale, flaws } = file;
  return {
    ...{ owner, path, exists, stale: isStale },
    problems: flaws.map(({ source, line, column, message, hint }) => ({ source, ...(line === undefined ? {} : { line, column }), message, hint })),
    rules,
    moreShares,
    callers: callers.map(({ kind, ...rest }) => ({ ...rest, tailnet: kind })),
  };
}
