/** `agent share`, `agent unshare`. */
import type { Command } from 'commander';
import { neutralise } from '../domain/text.ts';
import { wordsOfShare } from '../domain/sharing.ts';
import type { ShareView } from '../domain/sharing.ts';
import type { NodeClient, ShareResult } from '../client/types.ts';
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
  await change(context, address, (client) => client.shareAgent({ address, parties: list(options, 'with') }));
  return exitOk;
}

async function unshare(context: Context, [address = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const { ended, running } = await change(context, address, (client) => client.unshareAgent({ address, parties: list(options, 'with') }));
  if (!out.isJson && ended > 0) out.note(`${ended} queued ${ended === 1 ? 'invocation' : 'invocations'} of theirs failed: denied`);
  if (!out.isJson && running > 0) out.note(`${running} of theirs ${running === 1 ? 'runs and goes' : 'run and go'} on: to end one, beckon flight cancel`);
  return exitOk;
}

/** Makes the change and shows with whom the agent is shared now. */
async function change<Result extends ShareResult>(context: Context, address: string, make: (client: NodeClient) => Promise<Result>): Promise<Result> {
  const { out } = context;
  checkAddress(address);
  const result = await withNode(context, make, { offline: true });
  if (out.isJson) await out.json(result);
  else {
    await out.line(`${result.address} is shared with ${sharesInWords(result.shares)}`);
    if (!result.changed) out.note(out.dim('it was so already'));
  }
  return result;
}
