/** What all nodes write down, as it happens. */
import type { Command } from 'commander';
import type { TailUpdate } from '../client/types.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { gapWords } from './gap-words.ts';
import { LetGo } from './let-go.ts';
import { wrapped } from './narrow-table.ts';
import { tailFields } from './operator-json.ts';
import { examples, flag, parsed, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { localTime } from './output.ts';
import { checkSince, sinceMs } from './since.ts';
import { detailOf } from './trace.ts';

export function defineTail(program: Command, on: Register): void {
  on(
    program
      .command('tail')
      .option('--node <node>', 'only what that node writes')
      .addOption(parsed('--since <t>', 'begin at a time, or so long ago, instead of now', checkSince))
      .option('--no-follow', 'end when all that there is was shown')
      .description('Show what happens on all nodes, in the order of their clocks, until Ctrl-C.')
      .addHelpText('after', examples('beckon tail', 'beckon tail --since 10m', 'beckon tail --node desktop --since 1h --no-follow --json')),
    tail,
  );
}

async function tail(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const [node, since] = [text(options, 'node'), text(options, 'since')];
  const noFollow = !flag(options, 'follow');
  const input = { noFollow, ...(node === undefined ? {} : { node }), ...(since === undefined ? {} : { sinceMs: sinceMs(since, host.clock.now()) }) };
  using letGo = new LetGo(context);
  await withNode(context, async (client) => {
    if (since === undefined && out.isTerminal && !out.isJson) out.note(out.dim('from now on; --since 10m shows what was before'));
    for await (const update of client.tail(input, { signal: letGo.signal })) await show(context, update);
  });
  return exitOk;
}

async function show({ out }: Context, update: TailUpdate): Promise<void> {
  if (out.isJson) {
    await out.event(update.type === 'fact' ? 'event' : update.type, tailFields(update), update.type === 'fact' ? update.fact.atMs : update.atMs);
    return;
  }
  const { dim, yellow, green } = out.colours;
  switch (update.type) {
    case 'fact': {
      const { fact, nodeName, peerName, late } = update;
      const id = fact.invocationId === undefined ? '' : fact.invocationId.slice(-6);
      const words = [fact.what, id, detailOf(fact.detail, peerName)].filter((each) => each !== '').join('  ');
      const start = `${localTime(fact.atMs).slice(11)}.${String(fact.atMs % 1000).padStart(3, '0')}  ${nodeName}  `;
      const columns = out.isTerminal ? out.columns - start.length : Number.POSITIVE_INFINITY;
      const [first = '', ...rest] = columns < 20 ? [words] : wrapped(neutralise(words), columns - (late ? 6 : 0));
      await out.line(`${dim(neutralise(start))}${late ? `${yellow('late')}  ` : ''}${first}`);
      for (const line of rest) await out.line(`${' '.repeat(start.length)}${line}`);
      return;
    }
    case 'gap': {
      const until = update.knownUntilMs === undefined ? '' : `, known until ${localTime(update.knownUntilMs)}`;
      return await out.line(`${yellow('gap:')} ${neutralise(`${gapWords(update)}${until}`)}`);
    }
    case 'back':
      return await out.line(`${green('back:')} ${neutralise(update.nodeName)} answers again; what it wrote meanwhile follows`);
  }
}
