/** `mesh leave`: says what it would cost, asks where somebody can answer, and tells who knows. */
import type { LeaveResult } from '../client/types.ts';
import { conflict } from '../domain/errors.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk, exitStillGoing } from './exit.ts';
import { flag, number } from './options.ts';
import type { OptionValues } from './options.ts';

const defaultTimeoutMs = 60_000;

export async function leave(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const input = { force: flag(options, 'force'), waitMs: number(options, 'timeout') ?? defaultTimeoutMs };
  const ask = (confirmed: boolean): Promise<LeaveResult> => withNode(context, (client) => client.leaveMesh({ ...input, confirmed }));
  let result = await ask(flag(options, 'yes'));
  if (result.losses.length > 0) {
    const { readKey } = host;
    if (out.isJson || readKey === undefined || !(await isConfirmed(context, readKey, result))) {
      throw conflict(`leaving ${result.meshName} has a price: ${result.losses.join('; ')}`, 'nothing was done; leave all the same: beckon mesh leave --yes');
    }
    result = await ask(true);
  }
  const { left, running, meshName, told, untold, ended, isNewKey = false } = result;
  if (out.isJson) {
    await out.json({ left, running, told, untold, ended });
    return left ? exitOk : exitStillGoing;
  }
  if (isNewKey) {
    await out.line(meshName === '' ? 'the key of this node, which a mesh has removed, is given up' : `${meshName}, which had removed this node, is forgotten`);
    out.note(`${out.noteColours.cyan('next:')} beckon restart, which gives it a new key: its agents stay, its database and old keys are set aside. Then it may enter as a new machine: beckon mesh join TOKEN`);
    return exitOk;
  }
  if (!left) {
    out.note(`the node still waits for ${running} running ${running === 1 ? 'flight' : 'flights'}, and leaves then`);
    out.note(`${out.noteColours.cyan('hint:')} end what runs: beckon mesh leave --force`);
    return exitStillGoing;
  }
  await out.line(`this node has left ${meshName}; its agents and its history are still here`);
  if (ended > 0) out.note(`${ended} ${ended === 1 ? 'invocation' : 'invocations'} for other nodes ended unfinished: beckon flights`);
  if (untold.length > 0) {
    const by = told.length > 0 ? `${told.join(', ')} will tell them` : 'they will see it as unreachable, since no other member was there to tell them';
    out.note(`not reached: ${untold.join(', ')}; ${by}`);
  }
  return exitOk;
}

async function isConfirmed({ host, out }: Context, readKey: NonNullable<Context['host']['readKey']>, { meshName, losses }: { readonly meshName: string; readonly losses: readonly string[] }): Promise<boolean> {
  for (const loss of losses) out.note(loss);
  host.stderr.write(`Leave ${meshName} all the same? ${out.noteColours.bold('y')}/${out.noteColours.bold('N')} `);
  const key = await readKey(new AbortController().signal);
  host.stderr.write('\n');
  return key?.toLowerCase() === 'y';
}
