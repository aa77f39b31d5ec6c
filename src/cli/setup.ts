/** From nothing to a node in a mesh, by questions. Again, it asks only for what is missing. */
import type { Command } from 'commander';
import type { NodeStatus } from '../client/types.ts';
import { parseName } from '../domain/name.ts';
import { BrokerError } from '../domain/errors.ts';
import { neutralise } from '../domain/text.ts';
import { Asking } from './ask.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOfError, exitOk, exitStillGoing } from './exit.ts';
import type { Survey } from './host.ts';
import { examples } from './options.ts';
import type { Register } from './options.ts';
import { onlyHere, stepsOf, waysOf } from './setup-steps.ts';
import type { Step } from './setup-steps.ts';

export function defineSetup(program: Command, on: Register): void {
  on(
    program
      .command('setup')
      .description('Set this machine up by questions: its name, who can reach it, its node, the mesh of your machines. Nothing is opened to others without a yes; again, it goes on where it was left.')
      .addHelpText('after', examples('beckon setup', 'beckon setup --json')),
    setup,
  );
}

async function setup(context: Context): Promise<number> {
  const { host, out } = context;
  const survey = await host.survey();
  const status = await statusOf(context);
  const steps = stepsOf(survey, status);
  const isDone = steps.every((each) => each.isDone);
  if (out.isJson || !host.tty.stdin || isDone) return await tell(context, steps, isDone);
  out.note('Nothing is opened to others before you say yes. Ctrl-C ends it; what was done stays.\n');
  using asking = new Asking(context);
  const now = status ?? (await started(context, asking, survey));
  if (typeof now === 'number') return now;
  if (status !== undefined) for (const step of steps.filter((each) => each.isDone)) out.note(neutralise(`${step.detail}.`));
  if (now.mesh === undefined) await enter(context, asking);
  out.note('');
  const end = await statusOf(context);
  for (const step of stepsOf(survey, end)) await out.line(neutralise(step.isDone ? step.detail : `left open: ${step.command ?? step.detail}`));
  out.note(out.dim('next: in a project, beckon agent add -- COMMAND; on another machine, beckon setup; all well? beckon doctor'));
  return exitOk;
}

/** For who can't be asked: what is there, what would be done, and 2 when that is anything. */
async function tell({ out }: Context, steps: readonly Step[], isDone: boolean): Promise<number> {
  if (out.isJson) await out.json({ steps: steps.map(({ id, isDone: done, detail, command }) => ({ id, done, detail, ...(command === undefined ? {} : { command }) })) });
  else {
    for (const { isDone: done, detail, command } of steps) await out.line(neutralise(`${done ? 'done ' : 'to do'}  ${detail}${command === undefined ? '' : `: ${command}`}`));
    if (!isDone) out.note('nothing was done: run it in a terminal, where it can ask');
  }
  return isDone ? exitOk : exitOfError('invalid');
}

/** Undefined when no node runs. @throws BrokerError when one does and can't be asked */
async function statusOf(context: Context): Promise<NodeStatus | undefined> {
  try {
    return await withNode(context, (client) => client.status());
  } catch (thrown) {
    if (thrown instanceof BrokerError && thrown.code === 'unavailable') return undefined;
    throw thrown;
  }
}

/** @returns its exit code when it ends here */
async function started(context: Context, asking: Asking, survey: Survey): Promise<NodeStatus | number> {
  const { out } = context;
  const { remembered, suggestedName } = survey;
  const flags: string[] = [];
  if (remembered.name === undefined) flags.push(`--name=${await nameOf(context, asking, suggestedName)}`);
  if (remembered.listen === undefined) flags.push(...(await reachOf(context, asking, survey)));
  else out.note(`It listens at ${remembered.listen.join(' and ')}, as before.`);
  if (!(await asking.yes('Start its node now?', 'y'))) {
    out.note(`Nothing was started. By hand: beckon up --detach ${flags.join(' ')}`);
    return exitOk;
  }
  const { launch } = await import('./up.ts');
  if ((await launch(context, flags, '')) === undefined) return exitStillGoing;
  return await withNode(context, (client) => client.status());
}

async function nameOf({ out }: Context, asking: Asking, suggestedName: string): Promise<string> {
  for (;;) {
    const typed = await asking.line('What is this machine called?', suggestedName);
    try {
      return parseName(typed);
    } catch (thrown) {
      if (!(thrown instanceof BrokerError)) throw thrown;
      out.note(`  ${thrown.message}`);
    }
  }
}

/** The first yes counts for the tailnet; addresses may be several. Without any: this machine alone. */
async function reachOf({ out }: Context, asking: Asking, survey: Survey): Promise<readonly string[]> {
  const flags: string[] = [];
  let isOpen = false;
  for (const way of waysOf(survey)) {
    const isWanted = await asking.yes(way.question);
    if (isWanted && way.flags.length === 0) return [];
    isOpen ||= isWanted;
    flags.push(...(isWanted ? way.flags : way.otherwise));
  }
  if (isOpen) return flags;
  out.note('  Then it is on this machine only. It can still dial others.');
  return [`--listen=${onlyHere}`, ...flags];
}

async function enter(context: Context, asking: Asking): Promise<void> {
  const { out } = context;
  for (;;) {
    const wish = await asking.choice('The mesh of your machines: make one here, join one with a token, or neither?', ['make', 'join', 'neither'], 'neither');
    if (wish === 'neither') return;
    try {
      if (wish === 'make') {
        const { name } = await withNode(context, (client) => client.createMesh({ new: false }));
        return out.note(`  ${name} is made. To let another machine in: beckon mesh invite`);
      }
      const token = await asking.line('The token, from beckon mesh invite on a machine of it:', '');
      if (token === '') continue;
      const { meshName } = await withNode(context, (client) => client.joinMesh(token));
      return out.note(`  it is a member of ${neutralise(meshName)} now`);
    } catch (thrown) {
      if (!(thrown instanceof BrokerError) || thrown.code === 'cancelled') throw thrown;
      out.error(thrown);
    }
  }
}
