/** Who belongs: mesh create, invite, join, rename, remove, leave, members; who lets others in is mesh-issuers.ts. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import { invalid } from '../domain/errors.ts';
import { isLoopback, listenElsewhere, parseHostPort } from '../domain/host-port.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { paintState } from './colour.ts';
import { duration, examples, flag, list, number, repeated, text } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { isoTime, localTime, relativeTime } from './output.ts';
import { defineMeshIssuers } from './mesh-issuers.ts';
import { leave } from './mesh-leave.ts';
import { remove } from './mesh-remove.ts';
import { readText } from './stdin.ts';
import { table } from './table.ts';

const longestToken = 64 * 1024;

export function defineMesh(program: Command, on: Register): void {
  const mesh = program.command('mesh').description('The machines that belong together.').addHelpText('after', examples('beckon mesh create', 'beckon mesh invite'));
  on(
    mesh
      .command('create')
      .argument('[name]', 'what to call the mesh')
      .description("Make a mesh with this node as its first member. Works while the node is down, too.")
      .option('--new', 'even though there is a mesh that this node could join')
      .addHelpText('after', examples('beckon mesh create', 'beckon mesh create home')),
    create,
  );
  on(
    mesh
      .command('invite')
      .description('Make a token that lets one machine join, once. Works while the node is down, too.')
      .addOption(duration('--ttl <duration>', 'how long it may be used: 1h without it, 30d at most'))
      .option('--for <person>', "the owner of the joining machine; without it, this node's owner")
      .addHelpText('after', examples('beckon mesh invite', 'beckon mesh invite --ttl 1h --for ada@example.com')),
    invite,
  );
  on(
    mesh
      .command('join')
      .argument('<token>', 'from beckon mesh invite on the other machine; - reads it from stdin')
      .description('Join a mesh with an invitation. Works while the node is down, too.')
      .addHelpText('after', examples('beckon mesh join TOKEN', 'beckon mesh join - < token')),
    join,
  );
  on(
    mesh
      .command('pending')
      .description('List the machines that asked to be let in, by the word of the tailnet, and wait.')
      .addHelpText('after', examples('beckon mesh pending', 'beckon mesh pending --json')),
    pending,
  );
  on(
    mesh
      .command('admit')
      .argument('[node]', 'one that waits: its name or id')
      .description('Let in a machine that waits, or, now and for good, all that a rule names. Every node that lets others in follows it.')
      .addOption(repeated('--user <login>', "all machines of this user of the tailnet, owned by that user in the mesh"))
      .addOption(repeated('--tag <tag>', 'all machines with this tag, owned by the tag'))
      .addOption(repeated('--cap <capability>', 'all machines that the policy of the tailnet grants this capability on the machine they ask'))
      .addHelpText('after', examples('beckon mesh admit server', 'beckon mesh admit --tag tag:server', 'beckon mesh admit --user bob@example.com')),
    admit,
  );
  on(
    mesh
      .command('rename')
      .argument('<name>', 'what this machine is to be called')
      .description('Give this node another name. An issuer certifies it; its agents are found under the new name within seconds.')
      .addHelpText('after', examples('beckon mesh rename studio')),
    rename,
  );
  on(
    mesh
      .command('remove')
      .argument('<node>', 'its name or id')
      .description('Remove a machine from the mesh, for good: a lost or stolen one, say. All members hear of it; what is under way with it ends.')
      .option('--yes', 'without a question')
      .addHelpText('after', examples('beckon mesh remove laptop', 'beckon mesh remove laptop --yes')),
    remove,
  );
  on(
    mesh
      .command('leave')
      .description('Leave the mesh: waits for what runs, ends what is under way with others, tells them. Agents and history stay.')
      .option('--force', 'end what runs now: it becomes indeterminate')
      .option('--yes', 'even though something is lost by it')
      .addOption(duration('--timeout <duration>', 'how long to wait for what runs; it goes on afterwards'))
      .addHelpText('after', examples('beckon mesh leave', 'beckon mesh leave --yes --timeout 5m')),
    leave,
  );
  defineMeshIssuers(mesh, on);
  on(mesh.command('members').description('List the machines of the mesh.').addHelpText('after', examples('beckon mesh members', 'beckon mesh members --json')), members);
}

async function create(context: Context, [name]: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const input = { new: flag(options, 'new'), ...(name === undefined ? {} : { name }) };
  const made = await withNode(context, (client) => client.createMesh(input), { offline: true });
  if (out.isJson) await out.json({ mesh: { id: made.meshId, name: made.name }, node: made.nodeName, owner: made.owner });
  else {
    await out.line(`mesh ${made.name} is made; ${made.nodeName} is its first member, owned by ${made.owner}`);
    out.note(`${out.noteColours.cyan('next:')} on your other machine: beckon up --detach, when both are on one tailnet; otherwise, here: beckon mesh invite`);
  }
  return exitOk;
}

async function invite(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const ttlMs = number(options, 'ttl');
  const forPerson = text(options, 'for');
  const input = { ...(ttlMs === undefined ? {} : { ttlMs }), ...(forPerson === undefined ? {} : { forPerson }) };
  const made = await withNode(context, (client) => client.createInvite(input), { offline: true });
  if (out.isJson) {
    await out.json({ token: made.token, expiresAt: isoTime(made.expiresAtMs), addresses: made.addresses });
    return exitOk;
  }
  // The token alone, so that $(beckon mesh invite) is one.
  await out.line(made.token);
  out.note(out.dim(`for one machine${forPerson === undefined ? '' : ` of ${forPerson}`}, until ${localTime(made.expiresAtMs)}; it will ask at ${made.addresses.join(', ')}`));
  if (made.addresses.every((each) => isLoopback(parseHostPort(each)))) out.note(`${out.noteColours.yellow('warning:')} no other machine reaches this one there; first ${listenElsewhere}, then invite again`);
  // To be pasted as it is; what is not for a terminal keeps the token on stdout alone.
  out.note(`${out.noteColours.cyan('next:')} on the other machine: beckon up --detach --join ${out.isTerminal ? made.token : 'TOKEN'}`);
  return exitOk;
}

async function join(context: Context, [typed = '']: readonly string[]): Promise<number> {
  const { host, out } = context;
  if (typed === '-' && host.tty.stdin) throw invalid('- reads the token from stdin, and that is this terminal', 'give it so: beckon mesh join - < token');
  const token = (typed === '-' ? await readText(host.stdin, longestToken) : typed).trim();
  if (token === '') throw invalid('the token is empty', 'make one on the other machine: beckon mesh invite');
  const joined = await withNode(context, (client) => client.joinMesh(token), { offline: true });
  if (out.isJson) await out.json({ mesh: { id: joined.meshId, name: joined.meshName }, node: joined.nodeName, owner: joined.owner });
  else await out.line(`${joined.nodeName} is a member of ${joined.meshName} now, owned by ${joined.owner}`);
  return exitOk;
}

async function pending(context: Context): Promise<number> {
  const { out, host } = context;
  const found = await withNode(context, (client) => client.pending());
  if (out.isJson) {
    const document = found.map(({ name, nodeId, address, login, tags, sinceMs, why }) => ({ name, nodeId, address, login: login ?? null, tags, since: isoTime(sinceMs), why }));
    await out.json({ pending: document });
    return exitOk;
  }
  if (found.length === 0) {
    out.note('nobody waits to be let in');
    return exitOk;
  }
  const nowMs = host.clock.now();
  await table(
    out,
    ['name', 'address', 'user or tags', 'since', 'why'],
    found.map(({ name, address, login, tags, sinceMs, why }) => [name, address, login ?? tags.join(', '), relativeTime(sinceMs, nowMs, formatDuration), why]),
  );
  out.note(`${out.noteColours.cyan('next:')} beckon mesh admit ${found[0]?.name ?? 'NODE'}`);
  return exitOk;
}

async function admit(context: Context, [node]: readonly string[], options: OptionValues): Promise<number> {
  const { out } = context;
  const asked = [
    ...list(options, 'user').map((value) => ({ kind: 'user', value }) as const),
    ...list(options, 'tag').map((value) => ({ kind: 'tag', value }) as const),
    ...list(options, 'cap').map((value) => ({ kind: 'capability', value }) as const),
  ];
  const { rules } = await withNode(context, (client) => client.admit({ rules: asked, ...(node === undefined ? {} : { node }) }));
  if (out.isJson) await out.json({ rules });
  else for (const { kind, value } of rules) await out.line(kind === 'node' ? `${node} is let in; it enters within 10 s if it is up` : `machines of ${kind} ${value} are let in; those that wait enter within 10 s`);
  return exitOk;
}

async function rename(context: Context, [name = '']: readonly string[]): Promise<number> {
  const { out } = context;
  const renamed = await withNode(context, (client) => client.renameNode(name));
  if (out.isJson) await out.json(renamed);
  else await out.line(renamed.was === renamed.name ? `this node is called ${renamed.name} already` : `this node is ${renamed.name} now; it was ${renamed.was}`);
  return exitOk;
}

async function members(context: Context): Promise<number> {
  const { out } = context;
  const found = await withNode(context, (client) => client.members());
  if (out.isJson) {
    await out.json({ members: found.map(({ name, nodeId, owner, state }) => ({ name, nodeId, owner, state })) });
    return exitOk;
  }
  if (found.length === 0) {
    out.note('this node is in no mesh: beckon mesh create, or beckon mesh join TOKEN');
    return exitOk;
  }
  await table(
    out,
    ['name', 'state', 'owner', 'node id'],
    found.map((member) => [member.name, paintState(out.colours, member.state), member.owner, member.nodeId]),
  );
  return exitOk;
}
