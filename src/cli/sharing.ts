/** `agent share`, `agent unshare`. */
import type { Command } from 'commander';
import { neutralise } from '../domain/text.ts';
import { wordsOfShare } from '../domain/sharing.ts';
import type { ShareView } from '../domain/sharing.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { checkAddress, examples, list, repeated } from './options.ts';
import type { OptionValues, Register } from './options.ts';

const withHelp = 'only this person or node; may be given again';

export function defineSharing(agent: Command, on: Register): void {
  on(
    agent
      .command('share')
      .argument('<address>')
      .description('Let other people of the mesh invoke an agent of this node. Works while the node is down, too.')
      .addOption(repeated('--with <person|node>', withHelp))
      .addHelpText('after', examples('beckon agent share deploy', 'beckon agent share deploy --with bob', 'beckon agent share deploy --with studio --with carol')),
    share,
  );
  on(
    agent
      .command('unshare')
      .argument('<address>')
      .description('Take that back, at once: what they queued fails, what runs goes on. Works while the node is down, too.')
      .addOption(repeated('--with <person|node>', withHelp))
      .addHelpText('after', examples('beckon agent unshare deploy', 'beckon agent unshare deploy --with bob')),
    unshare,
  );
}

export function sharesInWords(shares: readonly ShareView[]): string {
  return shares.length === 0 ? 'nobody' : shares.map((each) => neutralise(wordsOfShare(each))).join(', ');
}

async function share(context: Context, [address = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  checkAddress(address);
  const result = await withNode(context, (client) => client.shareAgent({ address, parties: list(options, 'with') }), { offline: true });
  if (out.isJson) {
    await out.json(result);
    return exitOk;
  }
  await out.line(`${result.address} is shared with ${sharesInWords(result.shares)}`);
  if (!result.changed) out.note(out.dim('it was so already'));
  return exitOk;
}

async function unshare(context: Context, [address = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  checkAddress(address);
  const result = await withNode(context, (client) => client.unshareAgent({ address, parties: list(options, 'with') }), { offline: true });
  if (out.isJson) {
    await out.json(result);
    return exitOk;
  }
  await out.line(`${result.address} is shared with ${sharesInWords(result.shares)}`);
  if (!result.changed) out.note(out.dim('it was so already'));
  if (result.ended > 0) out.note(`${result.ended} queued ${result.ended === 1 ? 'invocation' : 'invocations'} of theirs failed: denied`);
  if (result.running > 0) out.note(`${result.running} of theirs ${result.running === 1 ? 'runs and goes' : 'run and go'} on: to end one, beckon flight cancel`);
  return exitOk;
}
