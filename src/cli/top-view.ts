/** What `top` shows, from what the node tells; and the lines of it for a terminal of some size. Pure. */
import type { AgentsUpdate, AgentView, NodeStatus, PeersUpdate } from '../client/types.ts';
import { formatDuration } from '../domain/duration.ts';
import { isTerminal } from '../domain/flight.ts';
import type { FlightState } from '../domain/flight.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { Flight } from '../domain/records.ts';
import { paintState } from './colour.ts';
import type { Colours } from './output.ts';
import { localTime } from './output.ts';
import { kept } from './narrow-table.ts';
import { tableLines } from './table.ts';
import type { Cell } from './table.ts';

type Row = readonly (Cell | string)[];

/** A second, as the counts of this node have it. */
export interface Rates {
  readonly taken: number;
  readonly ended: number;
}

const open: readonly FlightState[] = ['running', 'waiting', 'waking', 'queued'];

export class TopView {
  #status: NodeStatus | undefined;
  #flights: readonly Flight[] = [];
  #peers: readonly PeerView[] = [];
  readonly #agents = new Map<string, AgentView>();
  #counted: { readonly atMs: number; readonly all: number; readonly ended: number } | undefined;
  rates: Rates | undefined;

  takePeers(update: PeersUpdate): void {
    this.#peers = update.type === 'all' ? update.peers : [...this.#peers.filter((each) => each.nodeId !== update.peer.nodeId || each.name !== update.peer.name), update.peer];
  }

  takeAgents({ agents, gone }: Pick<AgentsUpdate, 'agents' | 'gone'>): void {
    for (const { nodeId, address } of gone) this.#agents.delete(`${nodeId} ${address}`);
    for (const view of agents) this.#agents.set(`${view.registration.nodeId} ${view.registration.address}`, view);
  }

  /** @param atMs monotonic */
  takeStatus(status: NodeStatus, flights: readonly Flight[], atMs: number): void {
    const counts = Object.entries(status.flights) as [FlightState, number][];
    const sum = (of: (state: FlightState) => boolean): number => counts.reduce((total, [state, count]) => total + (of(state) ? count : 0), 0);
    const now = { atMs, all: sum(() => true), ended: sum(isTerminal) };
    const before = this.#counted;
    if (before !== undefined && atMs > before.atMs) {
      // What is pruned is counted no more.
      const perSecond = (later: number, earlier: number): number => (Math.max(0, later - earlier) * 1000) / (atMs - before.atMs);
      this.rates = { taken: perSecond(now.all, before.all), ended: perSecond(now.ended, before.ended) };
    }
    this.#counted = now;
    this.#status = status;
    this.#flights = flights.toSorted((a, b) => open.indexOf(a.state) - open.indexOf(b.state) || (a.id < b.id ? 1 : -1));
  }

  get status(): NodeStatus | undefined {
    return this.#status;
  }

  get flights(): readonly Flight[] {
    return this.#flights;
  }

  /** This one first, then the others by name, each with what its agents have to do. */
  get nodes(): readonly { readonly nodeId: string; readonly name: string; readonly state: string; readonly agents: number; readonly load: { readonly running: number; readonly queued: number } | undefined; readonly peer?: PeerView }[] {
    const status = this.#status;
    const of = (nodeId: string) => {
      const agents = [...this.#agents.values()].filter((each) => each.registration.nodeId === nodeId);
      const known = agents.flatMap((each) => each.presence ?? []);
      const load = agents.length > 0 && known.length === 0 ? undefined : { running: known.reduce((sum, each) => sum + each.running, 0), queued: known.reduce((sum, each) => sum + each.queued, 0) };
      return { agents: agents.length, load };
    };
    const others = this.#peers.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((peer) => ({ nodeId: String(peer.nodeId), name: peer.name, state: peer.state, ...of(peer.nodeId), peer }));
    return [...(status === undefined ? [] : [{ nodeId: String(status.nodeId), name: status.name, state: 'here', ...of(status.nodeId) }]), ...others];
  }

  /** Those with something to do, the busiest first. */
  get busy(): readonly AgentView[] {
    const load = ({ presence }: AgentView): number => (presence?.running ?? 0) + (presence?.queued ?? 0);
    return [...this.#agents.values()].filter((each) => load(each) > 0).toSorted((a, b) => load(b) - load(a) || (a.registration.address < b.registration.address ? -1 : 1));
  }
}

/** As many of `rows` as the terminal has, none longer than `columns`. */
export function topLines(view: TopView, colours: Colours, nowMs: number, rows: number, columns: number): string[] {
  const { status } = view;
  if (status === undefined) return ['asking the node…'];
  const head = [cut(headOf(view, status, nowMs, columns), columns), cut(workOf(view, status), columns)];
  const sections = [nodesOf(view, colours, nowMs, columns), agentsOf(view, colours, columns), flightsOf(view, colours, nowMs, columns)];
  const room = Math.max(0, rows - head.length);
  const shares = shared(sections.map((each) => each.length + 1), room);
  return [...head.map((each, at) => (at === 0 ? colours.bold(each) : each)), ...sections.flatMap((lines, at) => shown(lines, shares[at] ?? 0, colours))].slice(0, rows);
}

/** What each gets of the room: all get a fair share, and what one leaves goes to the others. */
function shared(wanted: readonly number[], room: number): number[] {
  const given = wanted.map(() => 0);
  for (let left = room; left > 0; ) {
    const hungry = [...wanted.keys()].filter((at) => (given[at] ?? 0) < (wanted[at] ?? 0));
    if (hungry.length === 0) break;
    for (const at of hungry) {
      if (left === 0) break;
      given[at] = (given[at] ?? 0) + 1;
      left -= 1;
    }
  }
  return given;
}

/** A gap, then the head and its rows, the last of them giving way to how many more there are. */
function shown(lines: readonly string[], room: number, colours: Colours): string[] {
  if (lines.length + 1 <= room) return ['', ...lines];
  if (room < 3) return [];
  const fit = lines.slice(0, room - 2);
  return ['', ...fit, colours.dim(`and ${lines.length - fit.length} more`)];
}

function headOf(view: TopView, { name, mesh, draining }: NodeStatus, nowMs: number, columns: number): string {
  const others = view.nodes.slice(1);
  const states = [...Map.groupBy(others, (each) => each.state)].map(([state, those]) => `${those.length} ${state}`).join(', ');
  const left = `${name}${draining ? ' (goes down)' : ''}  ${mesh === undefined ? 'no mesh' : `mesh ${mesh.name}`}  ${others.length + 1} ${others.length === 0 ? 'node' : 'nodes'}${states === '' ? '' : `: ${states}`}`;
  const time = localTime(nowMs).slice(11);
  return left.length + time.length + 2 <= columns ? `${left}${' '.repeat(columns - left.length - time.length)}${time}` : left;
}

function workOf({ rates }: TopView, { flights }: NodeStatus): string {
  const counts = (['running', 'queued', 'waiting'] as const).map((state) => `${flights[state] ?? 0} ${state}`).join(', ');
  return `here: ${counts}${rates === undefined ? '' : `; ${rates.taken.toFixed(1)}/s taken, ${rates.ended.toFixed(1)}/s ended`}`;
}

function nodesOf(view: TopView, colours: Colours, nowMs: number, columns: number): string[] {
  const rows = view.nodes.map(({ name, state, agents, load, peer }): Row => [
    name,
    paintState(colours, state),
    peer === undefined ? '-' : formatDuration(Math.max(0, nowMs - peer.sinceMs)),
    peer?.rttMs === undefined || state !== 'alive' ? '-' : `${peer.rttMs.toFixed(1)} ms`,
    String(agents),
    load === undefined ? '?' : String(load.running),
    load === undefined ? '?' : String(load.queued),
    peer?.why ?? '',
  ]);
  const heads = ['node', 'state', 'for', 'rtt', 'agents', 'running', 'queued', 'why'];
  return tableLines(colours, ...kept(heads, rows, ['rtt', 'agents', 'for', 'queued', 'running'], columns), columns);
}

function agentsOf(view: TopView, colours: Colours, columns: number): string[] {
  const { busy } = view;
  if (busy.length === 0) return [colours.dim('no agent is at work')];
  const rows = busy.map(({ registration, presence, state, note }): Row => [registration.address, String(presence?.running ?? 0), String(presence?.queued ?? 0), paintState(colours, state), note ?? '']);
  const heads = ['agent', 'running', 'queued', 'node', 'note'];
  return tableLines(colours, ...kept(heads, rows, ['node', 'queued'], columns), columns);
}

function flightsOf({ flights }: TopView, colours: Colours, nowMs: number, columns: number): string[] {
  if (flights.length === 0) return [colours.dim('no flight is open here')];
  const rows = flights.map((each): Row => [each.id.slice(-6), paintState(colours, each.state), formatDuration(Math.max(0, nowMs - (each.waiting?.sinceMs ?? each.startedAtMs ?? each.acceptedAtMs))), each.target]);
  return tableLines(colours, ['flight', 'state', 'for', 'target'], rows, columns);
}

function cut(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}
