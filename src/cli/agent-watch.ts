/** The agents of all nodes as they change, in place on a terminal, else one JSON object a line. */
import type { AgentFilter, AgentsUpdate, AgentView } from '../client/types.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk } from './exit.ts';
import { agentDocument } from './json.ts';
import { LetGo } from './let-go.ts';
import { LiveScreen } from './live-screen.ts';

/** How often what is relative to now is drawn again. */
const redrawMs = 1_000;

/** The address first, for the order that people see. */
const keyOf = ({ address, nodeId }: Pick<AgentView['registration'], 'address' | 'nodeId'>): string => `${address} ${nodeId}`;

interface View {
  show(update: AgentsUpdate): Promise<void>;
  stop(): Promise<void>;
}

/** Ends with Ctrl-C, `q`, or a reader that is gone. @throws BrokerError when the node goes away, or the filter names no node */
export async function watchAgents(context: Context, filter: AgentFilter, linesOf: (views: readonly AgentView[], columns: number) => string[]): Promise<number> {
  const { out } = context;
  using letGo = new LetGo(context);
  const view = out.isTerminal && !out.isJson ? new ScreenView(context, linesOf, letGo.now) : new JsonView(context);
  try {
    await withNode(context, async (client) => {
      for await (const update of client.watchAgents(filter, { signal: letGo.signal })) await view.show(update);
    });
  } finally {
    await view.stop();
  }
  return exitOk;
}

/** All agents first, then an object for each one that is added, changed or removed. */
class JsonView implements View {
  readonly #out: Context['out'];
  readonly #known = new Map<string, AgentView>();
  #isFirst = true;

  constructor({ out }: Context) {
    this.#out = out;
  }

  async show({ atMs, agents, gone }: AgentsUpdate): Promise<void> {
    if (this.#isFirst) await this.#out.event('snapshot', { agents: agents.map((view) => agentDocument(view)) }, atMs);
    for (const view of agents) {
      const change = this.#known.has(keyOf(view.registration)) ? 'changed' : 'added';
      this.#known.set(keyOf(view.registration), view);
      if (!this.#isFirst) await this.#out.event('agent', { change, ...agentDocument(view) }, atMs);
    }
    this.#isFirst = false;
    for (const each of gone) {
      const view = this.#known.get(keyOf(each));
      this.#known.delete(keyOf(each));
      if (view !== undefined) await this.#out.event('agent', { change: 'removed', address: each.address, node: view.nodeName, nodeId: each.nodeId }, atMs);
    }
  }

  async stop(): Promise<void> {}
}

class ScreenView implements View {
  readonly #screen: LiveScreen;
  #known: ReadonlyMap<string, AgentView> = new Map();

  constructor({ host, out }: Context, linesOf: (views: readonly AgentView[], columns: number) => string[], onEnd: () => void) {
    this.#screen = new LiveScreen(host, out, {
      content: () => {
        const views = [...this.#known.values()];
        const lines = (most: number, columns: number): string[] => (views.length === 0 ? ['no agents'] : linesOf(views.slice(0, most), columns));
        return { count: views.length, lines, last: out.colours.dim(`${sum(views)}  q ends this`) };
      },
      onEnd,
      redrawMs,
    });
  }

  async show({ agents, gone }: AgentsUpdate): Promise<void> {
    const known = new Map(this.#known);
    for (const view of agents) known.set(keyOf(view.registration), view);
    for (const each of gone) known.delete(keyOf(each));
    this.#known = new Map([...known].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    await this.#screen.draw();
  }

  stop(): Promise<void> {
    return this.#screen.stop();
  }
}

function sum(views: readonly AgentView[]): string {
  const nodes = new Set(views.map((each) => each.registration.nodeId)).size;
  const available = views.filter((each) => each.registration.available).length;
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${count(views.length, 'agent')} on ${count(nodes, 'node')}, ${available} available`;
}
