/** `mesh issuer` and `mesh recovery`: who lets others in, and what is left when all who did are lost. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { defineMeshRoots } from './mesh-roots.ts';
import { examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { readPassphrase } from './secret.ts';

export function defineMeshIssuers(mesh: Command, on: Register): void {
  const issuer = mesh.command('issuer').description('The machines that let others in and renew their certificates.').addHelpText('after', examples('beckon mesh issuer add server', 'beckon mesh issuer rm server'));
  on(
    issuer
      .command('add')
      .argument('<node>', 'its name or id')
      .description('Have another machine let others in, too. On the machine that made the mesh, or where its recovery file was imported.')
      .addHelpText('after', examples('beckon mesh issuer add server')),
    add,
  );
  on(
    issuer
      .command('rm')
      .argument('<node>', 'its name or id')
      .description('Have a machine let nobody in any more. It stays a member; whom it certified is renewed by others. On a machine with the key of the mesh.')
      .option('--compromised', 'its key may be in other hands: of what it signed only what is known here counts')
      .addHelpText('after', examples('beckon mesh issuer rm server', 'beckon mesh issuer rm server --compromised')),
    removeIssuer,
  );
  defineMeshRoots(mesh, on);
  const recovery = mesh.command('recovery').description('A file with the key of the mesh, behind a passphrase, for the day when all machines that let others in are lost.').addHelpText('after', examples('beckon mesh recovery export home.recovery', 'beckon mesh recovery import home.recovery'));
  on(
    recovery
      .command('export')
      .argument('<file>', 'where to write it; nothing may be there yet')
      .description('Write it, once, and read it back. It asks for a passphrase; without a terminal that is the first line of stdin. Works while the node is down, too.')
      .option('--move', 'the key of the mesh is on this machine no longer')
      .addHelpText('after', examples('beckon mesh recovery export /media/usb/home.recovery', 'beckon mesh recovery export home.recovery < passphrase')),
    exportFile,
  );
  on(
    recovery
      .command('import')
      .argument('<file>', 'as it was written')
      .description('Have this machine let others in: a new one, which becomes a member by it, or a member. Works while the node is down, too.')
      .addHelpText('after', examples('beckon mesh recovery import /media/usb/home.recovery')),
    importFile,
  );
}

async function add(context: Context, [node = '']: readonly string[]): Promise<number> {
  const { out } = context;
  const added = await withNode(context, (client) => client.addIssuer(node));
  if (out.isJson) await out.json(added);
  else {
    await out.line(added.already ? `${added.name} lets others in already; its certificate for that was renewed` : `${added.name}, of ${added.owner}, lets others in from now on`);
    if (!added.already) out.note('it can admit machines of anybody, renew certificates, and remove members; it loses that when it is removed');
  }
  return exitOk;
}

async function removeIssuer(context: Context, [node = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const compromised = flag(options, 'compromised');
  const removed = await withNode(context, (client) => client.authority.removeIssuer({ node, compromised }));
  if (out.isJson) {
    await out.json({ ...removed, compromised });
    return exitOk;
  }
  if (removed.already) await out.line(`${removed.name} lets nobody in`);
  else {
    await out.line(`${removed.name} lets nobody in any more, and stays a member`);
    if (removed.renewedByOthers.length > 0) out.note(`others renew now what it certified: ${removed.renewedByOthers.join(', ')}`);
    if (compromised) out.note('machines that it let in and that this one has not heard of are out; was the key of the mesh on it, too? beckon mesh root renew, then beckon mesh root retire');
  }
  return exitOk;
}

async function exportFile(context: Context, [file = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  const path = resolve(host.cwd, file);
  const move = flag(options, 'move');
  const passphrase = await readPassphrase(context, true);
  const made = await withNode(context, (client) => client.exportRecovery({ path, passphrase, move }), { offline: true });
  if (out.isJson) {
    await out.json({ ...made, moved: move });
    return exitOk;
  }
  await out.line(`the key of ${made.meshName} is in ${made.path}, read back and good; it knows ${made.members} ${made.members === 1 ? 'member' : 'members'}`);
  if (move) out.note('it is on this machine no longer: only an import makes another machine let others in');
  out.note('whoever has the file and the passphrase has the mesh: keep the two apart, and off this machine');
  return exitOk;
}

async function importFile(context: Context, [file = '']: readonly string[]): Promise<number> {
  const { out, host } = context;
  const path = resolve(host.cwd, file);
  const passphrase = await readPassphrase(context, false);
  const made = await withNode(context, (client) => client.importRecovery({ path, passphrase }), { offline: true });
  if (out.isJson) {
    const { meshId, meshName, nodeName, owner, members, wasMember } = made;
    await out.json({ mesh: { id: meshId, name: meshName }, node: nodeName, owner, members, wasMember });
    return exitOk;
  }
  await out.line(made.wasMember ? `${made.nodeName} lets others into ${made.meshName} from now on, and has the key of the mesh` : `${made.nodeName} is a member of ${made.meshName} now, owned by ${made.owner}; it lets others in, and has the key of the mesh`);
  out.note(`${made.members} other ${made.members === 1 ? 'member is' : 'members are'} known; those that are up renew at it as they meet it`);
  out.note(`${out.noteColours.cyan('next:')} remove what was lost (while this node is up: beckon up --detach): beckon mesh members, beckon mesh remove NODE`);
  return exitOk;
}
