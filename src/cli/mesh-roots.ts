/** `mesh root`: the keys that all certificates of a mesh lead to. */
import type { Command } from 'commander';
import type { RootView } from '../domain/trust.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { isoTime } from './output.ts';
import { table } from './table.ts';

export function defineMeshRoots(mesh: Command, on: Register): void {
  const root = mesh.command('root').description('The key that all certificates of the mesh lead to.').addHelpText('after', examples('beckon mesh root list', 'beckon mesh root renew'));
  on(
    root
      .command('list')
      .description('Show the roots that this node knows: which counts, until when, and whose key is here.')
      .addHelpText('after', examples('beckon mesh root list', 'beckon mesh root list --json')),
    list,
  );
  on(
    root
      .command('renew')
      .description('Make another root, vouched for by the one in use. Every member takes it as it hears of it, and both count until the older is retired. On a machine with the key of the mesh.')
      .addHelpText('after', examples('beckon mesh root renew')),
    renew,
  );
  on(
    root
      .command('retire')
      .description('Have the older root count no more: when its key may be in other hands, or near its end. On the machine where the newer was made.')
      .option('--force', 'even though members are lost by it')
      .addHelpText('after', examples('beckon mesh root retire')),
    retire,
  );
}

const words: Readonly<Record<RootView['state'], string>> = { in_use: 'in use', accepted: 'accepted', retired: 'retired' };

const short = (fingerprint: string): string => fingerprint.slice(0, 16);

async function list(context: Context): Promise<number> {
  const { out } = context;
  const roots = await withNode(context, (client) => client.authority.roots(), { offline: true });
  if (out.isJson) {
    await out.json({ roots: roots.map(shown) });
    return exitOk;
  }
  const rows = roots.map((each) => [short(each.fingerprint), words[each.state], isoTime(each.notAfterMs).slice(0, 10), String(each.issuers), each.signedBy === undefined ? 'the first' : short(each.signedBy), each.isKeyHere ? 'here' : '']);
  await table(out, ['ROOT', 'STATE', 'UNTIL', 'ISSUERS', 'SIGNED BY', 'KEY'], rows);
  return exitOk;
}

async function renew(context: Context): Promise<number> {
  const { out } = context;
  const { root, signedBy } = await withNode(context, (client) => client.authority.renewRoot());
  if (out.isJson) {
    await out.json({ root: shown(root), signedBy });
    return exitOk;
  }
  await out.line(`${short(root.fingerprint)} follows ${short(signedBy)}: both count, and members take it as they hear of it`);
  out.note('its key is on this machine, and in no recovery file yet: beckon mesh recovery export FILE');
  out.note('when all have met it, the older can be ended: beckon mesh root retire');
  return exitOk;
}

async function retire(context: Context, _given: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const { kept, retired, lost } = await withNode(context, (client) => client.authority.retireRoot({ force: flag(options, 'force') }));
  if (out.isJson) {
    await out.json({ kept, retired, lost });
    return exitOk;
  }
  await out.line(`${retired.map(short).join(', ')} counts no more: all leads to ${short(kept)}`);
  if (lost.length > 0) out.note(`nobody vouches for these any more: ${lost.join(', ')}; they need an invitation (beckon mesh leave, then beckon mesh join, there)`);
  out.note('recovery files from before are worth nothing now, and neither are tokens: beckon mesh recovery export FILE');
  return exitOk;
}

function shown({ isKeyHere, notBeforeMs, notAfterMs, ...rest }: RootView): object {
  return { ...rest, notBefore: isoTime(notBeforeMs), notAfter: isoTime(notAfterMs), keyHere: isKeyHere };
}
