/** The other nodes: peers, ping. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import { parseNodeRef } from '../domain/name.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { peerDocument } from './json.ts';
import { examples, number, parsed, wholeNumber } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { relativeTime } from './output.ts';
import { table } from './table.ts';
import { after } from './wait.ts';

const betweenPingsMs = 1000;

export function definePeers(program: Command, on: Register): void {
  on(
    program.command('peers').description('List the nodes that this one knows, and what it knows of them.').addHelpText('after', examples('beckon peers', 'beckon peers --json')),
    peers,
  );
  on(
    program
      .command('ping')
      .argument('<node>', 'name or id')
      .description('Ask a node for an answer, over the link that work takes.')
      .addOption(parsed('-c, --count <n>', 'how often (3 times by default)', wholeNumber(1, 1000)))
      .addHelpText('after', examples('beckon ping laptop', 'beckon ping laptop -c 1')),
    ping,
  );
}

async function peers(context: Context): Promise<number> {
  const { out, host } = context;
  const found = await withNode(context, (client) => client.peers());
  if (out.isJson) {
    await out.json({ peers: found.map(peerDocument) });
    return exitOk;
  }
  if (found.length === 0) {
    out.note('no other node is known yet: invite one with beckon mesh invite, or name one with beckon up --seed HOST:PORT');
    return exitOk;
  }
  const nowMs = host.clock.now();
  await table(
    out,
    ['name', 'state', 'since', 'rtt', 'address', 'last seen', 'why'],
    found.map((peer) => [
      peer.name,
      paintState(out.colours, peer.state),
      relativeTime(peer.sinceMs, nowMs, formatDuration),
      peer.rttMs === undefined ? '-' : `${peer.rttMs.toFixed(1)} ms`,
      peer.address ?? '-',
      peer.lastSeenMs === undefined ? 'never' : relativeTime(peer.lastSeenMs, nowMs, formatDuration),
      peer.why,
    ]),
  );
  return exitOk;
}

async function ping(context: Context, [node = '']: readonly string[], options: OptionValues): Promise<number> {
  const { out, host } = context;
  parseNodeRef(node);
  const count = number(options, 'count') ?? 3;
  return await withNode(context, async (client) => {
    const pongs: { rttMs: number; at: string }[] = [];
    let last: { name: string; nodeId: string; address: string } | undefined;
    for (let turn = 0; turn < count; turn += 1) {
      if (turn > 0) await after(host.clock, betweenPingsMs);
      const pong = await client.ping(node);
      last = pong;
      pongs.push({ rttMs: pong.rttMs, at: out.nowIso });
      if (!out.isJson) await out.line(`${pong.name} (${pong.address}) answered in ${pong.rttMs.toFixed(1)} ms`);
    }
    if (out.isJson) await out.json({ node: last?.name, nodeId: last?.nodeId, address: last?.address, pongs });
    return exitOk;
  });
}
