/** What goes on now, on all nodes: in place on a terminal, one object a line for scripts, one look into a pipe. */
import type { Command } from 'commander';
import type { NodeClient } from '../client/types.ts';
import type { Flight } from '../domain/records.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { agentDocument, flightDocument, peerDocument, statusDocument } from './json.ts';
import { LetGo } from './let-go.ts';
import { LiveScreen } from './live-screen.ts';
import { duration, examples, number } from './options.ts';
import type { OptionValues, Register } from './options.ts';
import { topLines, TopView } from './top-view.ts';

const defaultEveryMs = 1_000;
/** Of each open state. */
const mostFlights = 100;
const openStates = ['running', 'waiting', 'waking', 'queued'] as const;
/** Into a pipe. */
const pipeColumns = 120;

export function defineTop(program: Command, on: Register): void {
  on(
    program
      .command('top')
      .addOption(duration('--every <d>', 'how often to look (1s by default)'))
      .description('Show what goes on now: nodes, the busiest agents, open flights. In place, until q or Ctrl-C.')
      .addHelpText('after', examples('beckon top', 'beckon top --every 5s --json')),
    top,
  );
}

async function top(context: Context, _args: readonly string[], options: OptionValues): Promise<number> {
  const { host, out } = context;
  const everyMs = number(options, 'every') ?? defaultEveryMs;
  using letGo = new LetGo(context);
  const view = new TopView();
  const screen = out.isTerminal && !out.isJson ? screenOf(context, view, letGo.now) : undefined;
  const show = async (): Promise<void> => {
    if (screen !== undefined) await screen.draw();
    else if (out.isJson) await out.event('top', document(view));
    else for (const line of topLines(view, out.colours, host.clock.now(), Number.MAX_SAFE_INTEGER, pipeColumns)) await out.line(line.trimEnd());
  };
  try {
    await withNode(context, async (client) => {
      const { signal } = letGo;
      const isOnce = screen === undefined && !out.isJson;
      const watched = new Watched(client, view, signal);
      try {
        await watched.first();
        while (!signal.aborted) {
          const [status, flights] = await Promise.all([client.status(), openFlights(client)]);
          view.takeStatus(status, flights, host.clock.monotonic());
          watched.check();
          if (signal.aborted) break;
          await show();
          if (isOnce) break;
          await letGo.pause(everyMs);
        }
      } finally {
        await watched.stop();
      }
    });
  } finally {
    await screen?.stop();
  }
  return exitOk;
}

/** Peers and agents as the node tells of them. */
class Watched {
  readonly #letGo = new AbortController();
  readonly #running: readonly Promise<void>[];
  readonly #first: Promise<unknown>;
  #fault: { readonly thrown: unknown } | undefined;

  constructor(client: NodeClient, view: TopView, signal: AbortSignal) {
    const own = this.#letGo;
    if (signal.aborted) own.abort();
    signal.addEventListener('abort', () => own.abort(), { once: true });
    const reading = <Update>(updates: AsyncIterable<Update>, take: (update: Update) => void): { readonly first: Promise<void>; readonly done: Promise<void> } => {
      let told = (): void => undefined;
      const first = new Promise<void>((resolve) => (told = resolve));
      const read = async (): Promise<void> => {
        for await (const update of updates) {
          take(update);
          told();
        }
      };
      const done = read()
        .catch((thrown: unknown) => void (this.#fault ??= { thrown }))
        .finally(() => told());
      return { first, done };
    };
    const peers = reading(client.watchPeers({ signal: own.signal }), (update) => view.takePeers(update));
    const agents = reading(client.watchAgents({}, { signal: own.signal }), (update) => view.takeAgents(update));
    this.#running = [peers.done, agents.done];
    this.#first = Promise.all([peers.first, agents.first]);
  }

  /** Resolves when there is something of each. */
  async first(): Promise<void> {
    await this.#first;
    this.check();
  }

  /** @throws BrokerError when the node went away */
  check(): void {
    if (this.#fault !== undefined && !this.#letGo.signal.aborted) throw this.#fault.thrown;
  }

  async stop(): Promise<void> {
    this.#letGo.abort();
    await Promise.all(this.#running);
  }
}

async function openFlights(client: NodeClient): Promise<readonly Flight[]> {
  const pages = await Promise.all(openStates.map((state) => client.listFlights({ state }, { limit: mostFlights })));
  return pages.flatMap((each) => each.items);
}

function screenOf({ host, out }: Context, view: TopView, onEnd: () => void): LiveScreen {
  return new LiveScreen(host, out, {
    content: () => ({
      page: (rows, columns) => topLines(view, out.colours, host.clock.now(), rows, columns),
      last: out.colours.dim('q ends this'),
    }),
    onEnd,
    redrawMs: defaultEveryMs,
  });
}

function document(view: TopView): object {
  const { status, rates, nodes, busy, flights } = view;
  return {
    ...(status === undefined ? {} : statusDocument(status)),
    rates: rates ?? null,
    nodes: nodes.map(({ nodeId, name, state, agents, load, peer }) => ({ name, nodeId, state, agents, load: load ?? null, ...(peer === undefined ? {} : { peer: peerDocument(peer) }) })),
    busy: busy.map(agentDocument),
    open: flights.map((each) => flightDocument(each)),
  };
}
