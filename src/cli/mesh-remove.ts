/** `mesh remove`: asks where somebody can answer, and says who knows of it now. */
import type { MemberView, NodeClient } from '../client/types.ts';
import { BrokerError } from '../domain/errors.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { flag } from './options.ts';
import type { OptionValues } from './options.ts';
import { localTime } from './output.ts';

export async function remove(context: Context, [node = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const { readKey } = host;
  const isAsked = !out.isJson && !flag(options, 'yes') && readKey !== undefined;
  const removed = await withNode(context, async (client) => {
    if (isAsked && !(await isConfirmed(context, readKey, await memberOf(client, node)))) throw new BrokerError('cancelled', `${node} was not removed`, { hint: `nothing was done; without a question: beckon mesh remove ${node} --yes` });
    return client.removeMember(node);
  });
  const { name, nodeId, told, untold, already, by, atMs, letIn } = removed;
  if (out.isJson) {
    await out.json({ removed: { name, nodeId }, told, untold });
    return exitOk;
  }
  if (already) {
    await out.line(`${name} was removed already, by ${by} on ${localTime(atMs)}`);
    return exitOk;
  }
  await out.line(`${name} is removed: its key never comes into this mesh again`);
  out.note('if it was stolen: take it out of your tailnet, too, where a machine of yours could come in again with another key');
  if (told.length > 0) out.note(`told: ${told.join(', ')}`);
  if (untold.length > 0) out.note(`not reached now: ${untold.join(', ')}; any member tells them, and until then they still speak with ${name}`);
  if (letIn.length > 0) {
    out.note(`${name} let others in, and can no more. Those that it let in stay: ${letIn.join(', ')}`);
    out.note(`${out.noteColours.cyan('hint:')} remove those that you do not know: beckon mesh members. If ${name} made this mesh and was stolen, whoever has it may have the key of the mesh too: beckon mesh recovery import FILE, beckon mesh root renew, beckon mesh root retire; without a recovery file make another mesh`);
  }
  return exitOk;
}

async function memberOf(client: NodeClient, node: string): Promise<MemberView | undefined> {
  const wanted = node.toLowerCase();
  return (await client.members()).find(({ name, nodeId }) => name === wanted || nodeId === wanted);
}

/** What is not there, or gone already, is not asked about: the node says so. */
async function isConfirmed({ host, out }: Context, readKey: NonNullable<Context['host']['readKey']>, member: MemberView | undefined): Promise<boolean> {
  if (member === undefined || member.state === 'self' || member.state === 'removed') return true;
  host.stderr.write(`Remove ${member.name}, of ${member.owner}, for good? What runs for it ends, and its key never comes back. ${out.noteColours.bold('y')}/${out.noteColours.bold('N')} `);
  const key = await readKey(new AbortController().signal);
  host.stderr.write('\n');
  return key?.toLowerCase() === 'y';
}
