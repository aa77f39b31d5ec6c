/**
 * What others can make a node do is limited: over a limit they are refused, and that is counted here. The names are a closed
 * list, each a label of one metric, so that nobody who is refused makes a new one.
 */
export const limitNames = [
  // Anybody who reaches the network port.
  'handshakes',
  'handshakes_address',
  'handshake_rate',
  'handshake_rate_address',
  'handshake_time',
  // Those without a certificate, who can enrol and renew.
  'strangers',
  'strangers_address',
  'stranger_time',
  'stranger_size',
  'stranger_rate',
  'stranger_rate_address',
  // Members.
  'member_connections',
  'member_idle',
  'member_asking',
  'http2_frames',
  'session_greeting',
  'session_heartbeats',
  'session_questions',
  'session_backlog',
  'registry_news',
  'gossip_neighbours',
  'gossip_shunned',
  // This machine.
  'control_connections',
  'metrics_connections',
  'log_lines',
] as const;

export type LimitName = (typeof limitNames)[number];

/** Told once of each thing that was refused because a limit was reached. Must not throw. */
export type OverLimit = (limit: LimitName) => void;

export const ignoreLimits: OverLimit = () => undefined;
