/** `doctor --fix` on a copy of another machine: asks, stops the node in order, and gives it a key of its own. */
import type { Check } from '../domain/checks.ts';
import type { Context } from './context.ts';
import { stopIfRunning } from './down.ts';
import { exitOk } from './exit.ts';

export interface RekeyOptions {
  readonly isConfirmed: boolean;
  /** End what runs here, too. */
  readonly force: boolean;
}

/**
 * Undefined when nothing has to be done, or nobody said yes: what is wrong is then among the checks as before. A number is
 * the exit code of a node that goes on draining.
 */
export async function rekeyIfCopy(context: Context, { isConfirmed, force }: RekeyOptions): Promise<Check | number | undefined> {
  const { host } = context;
  const why = await host.copy.refusedBecause();
  if (why === undefined || !(isConfirmed || (await isAgreed(context, why)))) return undefined;
  const code = await stopIfRunning(context, { force });
  if (code !== exitOk) return code;
  const { nodeId, was, agents, aside } = await host.copy.rekey();
  const registered = agents.length === 0 ? 'it had no agents' : `its agents are registered anew: ${agents.join(', ')}`;
  return {
    id: 'clone',
    ok: true,
    detail: 'this machine was a copy, and is a node of its own now, in no mesh yet',
    hint: 'start it: beckon up --detach, with --name OTHER where the mesh has a node of this name; it enters by the tailnet by itself, or: beckon mesh join TOKEN',
    fixed: [`it is ${nodeId} now, and was ${was}`, registered, `the old database and keys are kept in ${aside}`],
  };
}

async function isAgreed({ host, out }: Context, why: string): Promise<boolean> {
  const { readKey } = host;
  if (out.isJson) return false;
  if (readKey === undefined) {
    out.note('its key is left as it is, since there is nobody to ask; if this machine is the copy: beckon doctor --fix --yes');
    return false;
  }
  out.note(why);
  out.note('this machine gets a new key and leaves its mesh; its agents stay; its database and keys are set aside, and nothing of them is lost');
  host.stderr.write(`Is this machine the copy, and is that to be done? ${out.noteColours.bold('y')}/${out.noteColours.bold('N')} `);
  const key = await readKey(new AbortController().signal);
  host.stderr.write('\n');
  return key?.toLowerCase() === 'y';
}
