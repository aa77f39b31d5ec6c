/** The other nodes: what this one knows of them, once or as it changes. */
import type { Command } from 'commander';
import type { PeersUpdate } from '../client/types.ts';
import { formatDuration } from '../domain/duration.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import { neutralise } from '../domain/text.ts';
import { paintState } from './colour.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { peerDocument } from './json.ts';
import { LetGo } from './let-go.ts';
import { LiveScreen } from './live-screen.ts';
import { examples, flag } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { localTime, relativeTime } from './output.ts';
import { kept, narrowTableLines } from './narrow-table.ts';
import { tableLines } from './table.ts';

/** How often what is relative to now is drawn again. */
const redrawMs = 1_000;
const heads = ['name', 'state', 'since', 'rtt', 'address', 'path', 'source', 'last seen', 'version', 'why'];
/** What goes first on a narrow terminal. */
const optional = ['source', 'path', 'version', 'last seen', 'rtt'];
const nobody = 'no other node is known yet: invite one: beckon mesh invite; or say where one may be: beckon down, then beckon up --detach --seed HOST:PORT';

export function definePeers(program: Command, on: Register): void {
  on(
    program
      .command('peers')
      .description('List the nodes that this one knows, what it knows of them, and why.')
      .option('--watch', 'go on and show each change, until q or Ctrl-C')
      .addHelpText('after', examples('beckon peers', 'beckon peers --watch', 'beckon peers --json')),
    async (context, _args, options) => await peers(context, options),
  );
}

async function peers(context: Context, options: OptionValues): Promise<number> {
  if (flag(options, 'watch')) return await watched(context);
  const { out, host } = context;
  const [found, removed] = await withNode(context, async (client) => {
    const all = await client.peers();
    return [all, all.length === 0 ? (await client.status()).removed : undefined] as const;
  });
  if (out.isJson) await out.json({ peers: found.map(peerDocument) });
  else if (found.length === 0) out.note(removed === undefined ? nobody : neutralise(`no other node speaks to this one: it was removed from ${removed.meshName} by ${removed.by}`));
  else for (const line of linesOf(context, found, host.clock.now())) await out.line(line);
  return exitOk;
}

/** Ends with Ctrl-C. @throws BrokerError when the node goes away */
async function watched(context: Context): Promise<number> {
  const { out } = context;
  using letGo = new LetGo(context);
  const view = out.isJson ? new JsonView(context) : out.isTerminal ? new ScreenView(context, letGo.now) : new LineView(context);
  try {
    await withNode(context, async (client) => {
      for await (const update of client.watchPeers({ signal: letGo.signal })) await view.show(update);
    });
  } finally {
    await view.stop();
  }
  return exitOk;
}

interface View {
  show(update: PeersUpdate): Promise<void>;
  stop(): Promise<void>;
}

/** Seeds that have not shown who they are have no id, and their address for a name. */
const keyOf = ({ nodeId, name }: PeerView): string => `${nodeId} ${nodeId === '' ? name : ''}`;

/** What of a peer is worth a line of its own; round trips and last signs change all the time. */
const factsOf = ({ name, state, why, sinceMs, address, path, source, version }: PeerView): string =>
  JSON.stringify([name, state, why, sinceMs, address, path, source, version]);

/** Tells what is new since the last update: changed peers, and those that are gone. */
class Changes {
  readonly #known = new Map<string, { readonly peer: PeerView; readonly facts: string }>();

  take(update: PeersUpdate): { readonly fresh: readonly PeerView[]; readonly gone: readonly PeerView[] } {
    const peers = update.type === 'all' ? update.peers : [update.peer];
    const fresh = peers.filter((peer) => this.#known.get(keyOf(peer))?.facts !== factsOf(peer));
    for (const peer of fresh) this.#known.set(keyOf(peer), { peer, facts: factsOf(peer) });
    const here = new Set(peers.map(keyOf));
    const gone = update.type === 'all' ? [...this.#known].filter(([key]) => !here.has(key)) : [];
    for (const [key] of gone) this.#known.delete(key);
    return { fresh, gone: gone.map(([, { peer }]) => peer) };
  }
}

/** One object a line: each peer first, then each change, `from` where its state was another. */
class JsonView implements View {
  readonly #out: Context['out'];
  readonly #changes = new Changes();

  constructor({ out }: Context) {
    this.#out = out;
  }

  async show(update: PeersUpdate): Promise<void> {
    const { fresh, gone } = this.#changes.take(update);
    const from = update.type === 'changed' && update.from !== undefined ? { from: update.from } : {};
    for (const peer of fresh) await this.#out.event('peer', { ...peerDocument(peer), ...from }, update.atMs);
    for (const { name, nodeId } of gone) await this.#out.event('gone', { name, nodeId }, update.atMs);
  }

  async stop(): Promise<void> {}
}

/** For a pipe: the table, then a line a change. */
class LineView implements View {
  readonly #context: Context;
  readonly #changes = new Changes();
  #isFirst = true;

  constructor(context: Context) {
    this.#context = context;
  }

  async show(update: PeersUpdate): Promise<void> {
    const { out } = this.#context;
    const { fresh, gone } = this.#changes.take(update);
    if (this.#isFirst && update.type === 'all') {
      this.#isFirst = false;
      for (const line of linesOf(this.#context, update.peers, update.atMs)) await out.line(line);
      return;
    }
    for (const { name, state, why } of fresh) await out.line(neutralise(`${localTime(update.atMs)}  ${name}  ${state}  ${why}`));
    for (const { name } of gone) await out.line(neutralise(`${localTime(update.atMs)}  ${name}  gone`));
  }

  async stop(): Promise<void> {}
}

/** For a terminal: the table in place, its times running on. */
class ScreenView implements View {
  readonly #screen: LiveScreen;
  #peers: readonly PeerView[] = [];

  constructor(context: Context, onEnd: () => void) {
    const { host, out } = context;
    this.#screen = new LiveScreen(host, out, {
      content: () => ({
        count: this.#peers.length,
        lines: (most, columns) => (this.#peers.length === 0 ? [nobody] : linesOf(context, this.#peers.slice(0, most), host.clock.now(), columns)),
        last: out.colours.dim('q ends this'),
      }),
      onEnd,
      redrawMs,
    });
  }

  async show(update: PeersUpdate): Promise<void> {
    const peers = update.type === 'all' ? update.peers : [...this.#peers.filter((each) => keyOf(each) !== keyOf(update.peer)), update.peer];
    this.#peers = peers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    await this.#screen.draw();
  }

  stop(): Promise<void> {
    return this.#screen.stop();
  }
}

function linesOf({ out }: Context, peers: readonly PeerView[], nowMs: number, columns?: number): string[] {
  const rows = peers
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((peer) => [
      peer.name,
      paintState(out.colours, peer.state),
      relativeTime(Math.min(peer.sinceMs, nowMs), nowMs, formatDuration),
      peer.rttMs === undefined || peer.state !== 'alive' ? '-' : `${peer.rttMs.toFixed(1)} ms`,
      peer.address ?? '-',
      peer.path ?? '-',
      peer.source ?? '-',
      peer.lastSeenMs === undefined ? 'never' : relativeTime(Math.min(peer.lastSeenMs, nowMs), nowMs, formatDuration),
      peer.version ?? '-',
      peer.why,
    ]);
  // In place each row has a line; otherwise reasons go on below.
  return columns === undefined ? narrowTableLines(out, { heads, rows, optional }) : tableLines(out.colours, ...kept(heads, rows, optional, columns), columns);
}
