/**
 * What a node tells Prometheus. Names as https://prometheus.io/docs/practices/naming has them, base units; of the process those of
 * Prometheus' own client libraries, of Node's event loop those of OpenTelemetry's conventions. Labels are closed lists, but for
 * peers, whom the mesh's list of members bounds, and agents of this node, 500 at most. Never an id of work.
 */
import { flightStates } from '../domain/flight.ts';
import { peerStates, restWords } from '../domain/peer.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { NodeVitals } from '../domain/vitals.ts';
import { by, counter, gauge, gauges, histogram } from './exposition.ts';
import type { Family, Labels } from './exposition.ts';

export function familiesOf(vitals: NodeVitals): readonly Family[] {
  return [...ofNode(vitals), ...ofLimits(vitals), ...ofWork(vitals), ...ofBacklog(vitals), ...ofAgents(vitals), ...ofStore(vitals), ...ofMesh(vitals), ...ofGossip(vitals), ...ofProcess(vitals)];
}

function ofNode({ version, process, name, nodeId, meshName, isDraining, isRefused, certificateEndsAtMs, tookSeconds, troubles }: NodeVitals): Family[] {
  return [
    gauges('beckon_build_info', 'Always 1: which Beckon this is, and the Node that it runs on.', [[{ version, runtime: process.runtime }, 1]]),
    gauges('beckon_node_info', 'Always 1: the node, and the mesh that it is in; empty for none.', [[{ node: name, node_id: nodeId, mesh: meshName }, 1]]),
    gauge('beckon_draining', '1 while it takes no new work: it is going down, or leaving its mesh.', Number(isDraining)),
    gauge('beckon_refused_as_copy', '1 while other nodes refuse this one as the copy of a machine.', Number(isRefused)),
    gauges('beckon_certificate_expiry_timestamp_seconds', 'When the certificate of this node ends. Not told outside a mesh.', optional(certificateEndsAtMs === undefined ? undefined : certificateEndsAtMs / 1000)),
    gauge('beckon_scrape_gather_seconds', 'What it took to gather what this scrape tells.', tookSeconds),
    gauge('beckon_scrape_incomplete', '1 when what waits could not be read from the store this time, and is not told.', Number(troubles === undefined)),
  ];
}

function ofLimits({ refused }: NodeVitals): Family[] {
  return [by('counter', 'beckon_refused_total', 'What was refused because a limit was reached, by limit.', 'limit', refused)];
}

function ofWork({ accepts, acceptSeconds, forwards, flights, store }: NodeVitals): Family[] {
  return [
    by('counter', 'beckon_accepts_total', 'Invocations that local callers asked for, by outcome: accepted, deduplicated, or the code of the refusal.', 'outcome', accepts),
    histogram('beckon_accept_duration_seconds', 'From the request to its commit, of invocations that were accepted.', acceptSeconds),
    by('counter', 'beckon_forwards_received_total', 'Invocations that other nodes brought for agents of this one, by outcome: received, known, cancelled_before, draining, or why they were refused.', 'outcome', forwards),
    by('gauge', 'beckon_flights', 'Flights that are stored here, by state: of work that this node accepted or took in.', 'state', flightStates.map((state) => [state, flights[state] ?? 0])),
    by('counter', 'beckon_flight_transitions_total', 'Flights that came into a state, as commits had it.', 'state', store.flights),
    by('counter', 'beckon_delivery_transitions_total', 'Deliveries of accepted work that came into a state: each try to send is sent, a dead letter is dead.', 'state', store.deliveries.filter(([state]) => state !== 'planned')),
  ];
}

function ofBacklog({ troubles, atMs }: NodeVitals): Family[] {
  if (troubles === undefined) return [];
  const { undelivered, dead, waiting } = troubles;
  const age = (sinceMs: number | undefined): number => (sinceMs === undefined ? 0 : Math.max(0, atMs - sinceMs) / 1000);
  return [
    gauge('beckon_undelivered', 'Accepted here for other nodes, and not confirmed by them: held, or on the way. Counted up to 20000.', undelivered.count),
    gauge('beckon_undelivered_oldest_age_seconds', 'How long ago the oldest of them was accepted; 0 for none.', age(undelivered.oldest?.sinceMs)),
    gauge('beckon_dead_letters', 'Deliveries stored as dead. Counted up to 10000.', dead.count),
    gauge('beckon_waiting_for_people', 'Flights that wait for an answer or an approval. Counted up to 10000.', waiting.count),
    gauge('beckon_waiting_oldest_age_seconds', 'How long the oldest of them has waited; 0 for none.', age(waiting.oldest?.sinceMs)),
  ];
}

function ofAgents({ troubles }: NodeVitals): Family[] {
  if (troubles === undefined) return [];
  const { paces } = troubles;
  const sum = (of: (pace: (typeof paces)[number]) => number): number => paces.reduce((total, each) => total + of(each), 0);
  const each = (of: (pace: (typeof paces)[number]) => number): (readonly [Labels, number])[] => paces.map((pace) => [{ agent: pace.address }, of(pace)]);
  const oldest = (pace: (typeof paces)[number]): number => (pace.oldestQueuedMs ?? 0) / 1000;
  return [
    gauge('beckon_queue_depth', 'Flights that wait for agents of this node.', sum(({ queued }) => queued)),
    gauge('beckon_queue_oldest_age_seconds', 'How long the oldest of them has waited; 0 for none.', Math.max(0, ...paces.map(oldest))),
    gauge('beckon_runs', 'Runs of agents of this node.', sum(({ running }) => running)),
    gauges('beckon_agent_queue_depth', 'The same by agent, of those that have something to do. Counted up to 10000.', each(({ queued }) => queued)),
    gauges('beckon_agent_queue_oldest_age_seconds', 'The same by agent, of those that have something to do.', each(oldest)),
    gauges('beckon_agent_runs', 'The same by agent, of those that have something to do.', each(({ running }) => running)),
  ];
}

function ofStore({ store, disk }: NodeVitals): Family[] {
  const { commitSeconds, commitWrites, commitFaults } = store;
  return [
    histogram('beckon_store_commit_duration_seconds', 'Group commits, with their one sync of the disk.', commitSeconds),
    histogram('beckon_store_commit_writes', 'Writes that shared one commit.', commitWrites),
    counter('beckon_store_commit_failures_total', 'Commits that the disk refused: nothing of them was stored, and their callers were told.', commitFaults),
    ...(disk === undefined ? [] : [
      by('gauge', 'beckon_store_file_bytes', 'Size of the database, and of its log, which is what the database does not hold yet.', 'file', [['database', disk.databaseBytes], ['log', disk.logBytes]]),
      gauge('beckon_store_filesystem_free_bytes', 'Room that is left for this user where the database is.', disk.freeBytes),
      gauge('beckon_store_filesystem_size_bytes', 'Size of the file system where the database is.', disk.totalBytes),
    ]),
  ];
}

function ofMesh({ peers, links, tickLateSeconds, registryNews }: NodeVitals): Family[] {
  const states = new Map(peerStates.map((state) => [state as string, 0]));
  for (const { state } of peers) states.set(state, (states.get(state) ?? 0) + 1);
  const members = peers.filter(({ nodeId, state }) => nodeId !== '' && state !== 'left' && state !== 'removed');
  const each = (of: (peer: PeerView) => number | undefined): (readonly [Labels, number])[] =>
    members.flatMap((peer) => {
      const value = of(peer);
      return value === undefined ? [] : [[{ peer: peer.name, peer_id: peer.nodeId }, value] as const];
    });
  const inSeconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);
  return [
    by('gauge', 'beckon_peers', 'Other nodes, by what this node believes of them; seeds that have not shown who they are among them.', 'state', states),
    gauge('beckon_links', 'Sessions with other nodes.', links),
    gauges('beckon_peer_up', '1 for a member that is alive or at rest as far as this node knows, 0 for one that is suspect, unreachable or incompatible.', each(({ state, why }) => Number(isUp(state, why)))),
    gauges('beckon_peer_round_trip_seconds', 'Round trip of heartbeats, smoothed, of members that there is a session with.', each(({ state, rttMs }) => (state === 'alive' ? inSeconds(rttMs) : undefined))),
    gauges('beckon_peer_last_heard_timestamp_seconds', 'When this node heard a member last.', each(({ lastSeenMs }) => inSeconds(lastSeenMs))),
    by('counter', 'beckon_registry_news_total', 'Lists of agents of other nodes that came over sessions and by gossip, by outcome: applied, known, stale when this node knows later ones, behind when the rest was fetched, unknown for no member, limited, or refused as untrue.', 'outcome', registryNews),
    histogram('beckon_heartbeat_lateness_seconds', 'How late the look at all sessions came that is due each second, and that sends heartbeats: a node that is late seems dead to others.', tickLateSeconds),
  ];
}

function ofGossip({ gossip }: NodeVitals): Family[] {
  return [
    gauge('beckon_gossip_active', '1 while this node gossips.', Number(gossip.isActive)),
    gauge('beckon_gossip_neighbours', 'Members that there is a gossip connection with.', gossip.neighbours),
    by('counter', 'beckon_gossip_received_total', 'News that neighbours brought, each counted once: taken and passed on, ignored as old or not understood, or rejected as untrue.', 'verdict', gossip.received),
    counter('beckon_gossip_published_total', 'News that this node made.', gossip.published),
    counter('beckon_gossip_received_bytes_total', 'Of the news that neighbours brought, without what carries them.', gossip.receivedBytes),
    counter('beckon_gossip_published_bytes_total', 'Of the news that this node made, once, however many they go to.', gossip.publishedBytes),
  ];
}

function ofProcess({ process }: NodeVitals): Family[] {
  return [
    counter('process_cpu_seconds_total', 'Processor time, all threads, of users and system.', process.cpuSeconds),
    gauge('process_resident_memory_bytes', 'Resident memory.', process.residentBytes),
    gauge('process_start_time_seconds', 'When it started, since 1970.', process.startedAtMs / 1000),
    gauges('process_open_fds', 'File descriptors that are open.', optional(process.openFiles)),
    gauges('process_max_fds', 'File descriptors that may be.', optional(process.mostFiles)),
    gauge('nodejs_heap_size_used_bytes', 'Heap of the main thread that is in use.', process.heapUsedBytes),
    gauge('nodejs_heap_size_total_bytes', 'Heap of the main thread.', process.heapTotalBytes),
    by('counter', 'nodejs_eventloop_time_seconds_total', 'Time that the main event loop was at work, or waited.', 'state', [['active', process.loopActiveSeconds], ['idle', process.loopIdleSeconds]]),
  ];
}

function optional(value: number | undefined): (readonly [Labels, number])[] {
  return value === undefined ? [] : [[{}, value]];
}

/** A member of a large mesh that no link is needed with is not down. */
function isUp(state: PeerView['state'], why: string): boolean {
  return state === 'alive' || (state === 'discovered' && why === restWords);
}
