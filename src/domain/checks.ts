/**
 * What `doctor` looks at, as judgements of what was found: each a line with what is so and what to do next. Pure. Files
 * and permissions are judged where they are looked at.
 */
import { formatDuration } from './duration.ts';
import { listenElsewhere } from './host-port.ts';
import type { DialBack } from './messages.ts';
import type { CloneSighting, PeerView } from './mesh-port.ts';
import { restWords } from './peer.ts';
import { renewableAfterEndMs } from './renewal.ts';
import type { Life } from './renewal.ts';
import type { TailnetView } from './tailnet.ts';

export interface Check {
  readonly id: string;
  readonly ok: boolean;
  /** What is so. */
  readonly detail: string;
  /** What to do next; empty when there is nothing to do. */
  readonly hint: string;
  /** What `--fix` did about it, each by name. */
  readonly fixed?: readonly string[];
}

const dayMs = 86_400_000;
/** Two thirds of its 90 days are over long before: nobody renewed it. */
const certificateShortMs = 15 * dayMs;
const certificateFailingMs = 20 * dayMs;
/** Of 90: whoever met none for so long is renewed by none. */
const issuerUnseenMs = 30 * dayMs;
/** Hybrid clocks refuse 5 minutes; long before that orders in a timeline look odd. */
export const skewLimitMs = 60_000;

const good = (id: string, detail: string): Check => ({ id, ok: true, detail, hint: '' });
const bad = (id: string, detail: string, hint: string): Check => ({ id, ok: false, detail, hint });

/** @param isNeeded the node is to listen on its tailnet, and nothing else was named */
export function tailnetCheck(view: TailnetView | undefined, isNeeded: boolean): Check {
  const id = 'tailscale';
  if (view === undefined) return good(id, 'not used: --tailscale off');
  const hint = isNeeded ? 'start Tailscale: sudo tailscale up; or do without: beckon up --listen ADDRESS:7423, or --tailscale off' : 'start it when machines are to be found by Tailscale, or say --tailscale off';
  switch (view.kind) {
    case 'up': {
      const { name, version, addresses, peers, isUserspace } = view.status;
      const others = peers.filter(({ isOnline }) => isOnline).length;
      return good(id, `tailscaled ${version} is connected${name === undefined ? '' : ` to ${name}`} as ${addresses.join(', ') || 'nobody yet'}${isUserspace ? ', without a network interface' : ''}; ${others} other ${others === 1 ? 'machine' : 'machines'} online`);
    }
    case 'unknown':
      return { id, ok: !isNeeded, detail: 'tailscaled does not answer', hint };
    case 'absent':
    case 'down':
      return { id, ok: !isNeeded, detail: view.why, hint: view.hint ?? hint };
  }
}

export interface ListeningFacts {
  /** host:port, as others are told. */
  readonly addresses: readonly string[];
  /** Why others can't reach it there; undefined when they can, as far as this machine knows. */
  readonly note: string | undefined;
}

export function listeningCheck({ addresses, note }: ListeningFacts): Check {
  const id = 'listening';
  if (addresses.length === 0) return bad(id, 'it listens nowhere', 'see why: beckon logs --level warn; then: beckon restart');
  return { id, ok: true, detail: `at ${addresses.join(', ')}${note === undefined ? '' : '; on this machine only'}`, hint: note ?? '' };
}

export interface GossipFacts {
  /** host:port */
  readonly addresses: readonly string[];
  readonly neighbours: number;
  /** Other members. */
  readonly members: number;
  /** Those among them that are linked now and say where they gossip. */
  readonly linked: number;
  /** How long it has gossiped, ms. */
  readonly forMs: number;
  /** Why it is not to gossip. */
  readonly why: string | undefined;
  readonly failure: { readonly message: string; readonly hint?: string | undefined } | undefined;
}

/** By then two that can reach each other are neighbours. */
const gossipSettlesMs = 30_000;

export function gossipCheck({ addresses, neighbours, members, linked, forMs, why, failure }: GossipFacts): Check {
  const id = 'gossip';
  if (why !== undefined) return good(id, `it does not gossip: ${why}`);
  if (failure !== undefined) return bad(id, `it does not gossip: ${failure.message}`, `${failure.hint ?? 'beckon restart'}; until then news go over the sessions`);
  const detail = `at ${addresses.join(', ')}; ${neighbours} of ${members} other ${members === 1 ? 'member is a neighbour' : 'members are neighbours'}`;
  if (neighbours > 0 || linked === 0 || forMs < gossipSettlesMs) return good(id, detail);
  return bad(id, detail, 'let TCP port 7424, or what is shown here, through the firewalls of this machine and the others; until then news go over the sessions');
}

/** Spans that the collector of traces took, and those it did not take in time. */
export interface TracesFacts {
  readonly host: string;
  readonly told: number;
  readonly dropped: number;
  readonly failing?: { readonly why: string; readonly sinceMs: number };
}

export function tracesCheck({ host, told, dropped, failing }: TracesFacts, nowMs: number): Check {
  const counts = `${told} spans told, ${dropped} dropped`;
  if (failing === undefined) return good('traces', `they go to ${host}: ${counts} since this node started`);
  return bad('traces', `${host} has taken none for ${formatDuration(Math.max(0, nowMs - failing.sinceMs))}: ${failing.why}; ${counts}`, 'no work waits for it; is a collector there that takes OTLP over HTTP? where they go: beckon config show');
}

/** @param failed why it was not renewed when that was tried last; undefined when it was not, or did not fail */
export function certificateCheck({ notBeforeMs, notAfterMs }: Life, nowMs: number, failed?: string): Check {
  const id = 'certificate';
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const tried = failed === undefined ? '' : `; renewing it failed: ${failed}`;
  if (nowMs < notBeforeMs) return bad(id, `it is in force from ${day(notBeforeMs)} on only${tried}`, 'set this machine’s clock');
  if (nowMs >= notAfterMs) {
    const detail = `it ended on ${day(notAfterMs)}: no other node lets this one in${tried}`;
    const untilMs = notAfterMs + renewableAfterEndMs;
    if (nowMs > untilMs) return bad(id, detail, 'it can’t be renewed any more: beckon mesh leave, then join with an invitation of a node that lets others in (beckon mesh invite, there)');
    return bad(id, detail, `it is renewed as soon as a node that lets others in can be reached, until ${day(untilMs)}: start one; and is this machine’s clock right?`);
  }
  const leftMs = notAfterMs - nowMs;
  const detail = `in force until ${day(notAfterMs)}, ${formatDuration(Math.floor(leftMs / dayMs) * dayMs || leftMs)} from now`;
  // One that fails has failed since two thirds of its life: a person should know sooner.
  const shortMs = failed === undefined ? certificateShortMs : certificateFailingMs;
  const isShort = leftMs < Math.min(shortMs, ((notAfterMs - notBeforeMs) / 90) * (shortMs / dayMs));
  return isShort ? bad(id, `${detail}${tried}`, 'no node that lets others in has renewed it: one of them has to be up and reachable by then: beckon peers') : good(id, `${detail}${tried}`);
}

export interface IssuerFacts {
  readonly isIssuer: boolean;
  /** Different ones that signed certificates of members. */
  readonly known: number;
  readonly members: number;
  /** Of this node's own certificate as one. */
  readonly life?: Life;
  /** Other members that are known to be issuers. */
  readonly others: number;
  /** When one of those was last met; now for one that is linked, undefined for none that ever was. */
  readonly seenMs?: number;
  /** When the key of the mesh was last written to a recovery file here, or read from one. */
  readonly recoveryMs?: number;
}

export function issuersCheck({ isIssuer, known, members, life, others, seenMs, recoveryMs }: IssuerFacts, nowMs: number): Check {
  const all = `${known} ${known === 1 ? 'issuer has' : 'issuers have'} signed the ${members} ${members === 1 ? 'certificate' : 'certificates'} known here`;
  if (!isIssuer && seenMs !== undefined && nowMs - seenMs > issuerUnseenMs) {
    return bad('issuers', `no machine that lets others in was met for ${formatDuration(Math.floor((nowMs - seenMs) / dayMs) * dayMs)}; ${all}`, 'one of them has to be up and linked before certificates end: beckon mesh members; are they lost? beckon mesh recovery import FILE');
  }
  if (!isIssuer) return good('issuers', `this node lets nobody in; ${all}`);
  if (life !== undefined && nowMs > life.notAfterMs - (life.notAfterMs - life.notBeforeMs) / 6) {
    return bad('issuers', `this node lets others in until ${new Date(life.notAfterMs).toISOString().slice(0, 10)} only; ${all}`, 'the machine with the key of the mesh renews that: it has to be up and linked; or there, beckon mesh issuer add NODE');
  }
  const alone = others === 0 && members > 1 && recoveryMs === undefined;
  return { ...good('issuers', `this node lets others in; ${all}`), hint: alone ? 'no other node does: should this machine be lost, only a recovery file makes another (beckon mesh recovery export), or have a second one: beckon mesh issuer add NODE' : '' };
}

export interface RootFacts {
  /** When the newest that counts ends. */
  readonly endMs: number;
  /** When it was made, when it is not the first. */
  readonly madeMs?: number;
  readonly count: number;
  readonly isKeyHere: boolean;
  readonly recoveryMs?: number;
}

/** Of 20 years: to make another, and to let the old one end, takes as long as the longest absence. */
const rootShortMs = 2 * 365 * dayMs;

export function rootCheck({ endMs, madeMs, count, isKeyHere, recoveryMs }: RootFacts, nowMs: number): Check {
  const id = 'root';
  const until = `the key of the mesh holds until ${new Date(endMs).toISOString().slice(0, 10)}${count > 1 ? `; ${count} roots count` : ''}${isKeyHere ? '; it is on this machine' : ''}`;
  if (endMs - nowMs < rootShortMs) return bad(id, until, 'make another while all can still take it: beckon mesh root renew, on the machine with the key of the mesh');
  if (isKeyHere && madeMs !== undefined && (recoveryMs === undefined || recoveryMs < madeMs)) return bad(id, `${until}, and in no recovery file`, 'a file from before is of an older root: beckon mesh recovery export FILE');
  return good(id, until);
}

export function peersCheck(peers: readonly PeerView[]): Check {
  const id = 'peers';
  if (peers.length === 0) return { id, ok: true, detail: 'no other node is known yet', hint: 'let one in: beckon mesh invite' };
  const all = peers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const incompatible = all.filter(({ state }) => state === 'incompatible');
  const members = all.filter(({ nodeId, state }) => nodeId !== '' && state !== 'left' && state !== 'removed');
  const alive = members.filter(({ state }) => state === 'alive');
  const resting = members.filter(({ state, why }) => state === 'discovered' && why === restWords);
  const away = all.filter((each) => each.state !== 'alive' && !resting.includes(each));
  const words = [`${alive.length} alive`, ...(resting.length > 0 ? [`${resting.length} that no link is needed with now`] : []), ...away.slice(0, 5).map(({ name, state, why }) => `${name} ${state} (${why})`), ...(away.length > 5 ? [`${away.length - 5} more`] : [])];
  const detail = words.join('; ');
  if (incompatible.length > 0) return bad(id, detail, 'update the nodes named, then restart them: beckon restart');
  if (members.length > 0 && alive.length === 0) return bad(id, detail, 'is this machine on a network? is one of theirs on? beckon peers --watch');
  return good(id, detail);
}

/** What one peer found, or why it could not look. */
export type DialledBack = { readonly name: string } & ({ readonly results: readonly DialBack[] } | { readonly why: string });

export function reachableCheck(asked: readonly DialledBack[], isAlone: boolean): Check {
  const id = 'reachable';
  if (asked.length === 0) {
    return isAlone ? good(id, 'no other node is there to try') : bad(id, 'no other node is linked now that could try', 'see why: beckon peers');
  }
  const tried = asked.flatMap((each) => ('results' in each ? each.results.map((result) => ({ ...result, name: each.name })) : []));
  const reached = tried.filter((each) => each.reached);
  const failed = tried.filter((each) => !each.reached).map(({ name, address, why }) => `not from ${name} at ${address}: ${why ?? 'no reason given'}`);
  const silent = asked.flatMap((each) => ('why' in each ? [`${each.name} could not try: ${each.why}`] : []));
  if (reached.length === 0 && tried.length === 0) {
    const isTold = silent.length > 0;
    return isTold ? { id, ok: true, detail: silent.join('; '), hint: '' } : bad(id, 'this node has told no address where it could be reached', `give one: ${listenElsewhere}`);
  }
  const detail = [...reached.map(({ name, address }) => `from ${name} at ${address}`), ...failed, ...silent].join('; ');
  return reached.length > 0
    ? good(id, detail)
    : bad(id, detail, `open the port in this machine’s firewall, or listen where they can reach it: ${listenElsewhere}. Until then only links that this node makes work`);
}

/** @param seen within the hour; there is no check when there is none */
export function clonesCheck(seen: readonly CloneSighting[]): readonly Check[] {
  if (seen.length === 0) return [];
  const detail = seen.map(({ name, kept, refused }) => `two machines use the key of ${name}: at ${kept}, which was there first and is kept, and at ${refused}, which is refused`).join('; ');
  return [bad('clones', detail, 'on the machine that is the copy: beckon doctor --fix')];
}

/** How far each peer's wall clock is ahead of this one's, ms. */
export function clockCheck(skews: readonly { readonly name: string; readonly aheadMs: number }[]): Check {
  const id = 'clock';
  if (skews.length === 0) return good(id, 'no other node is there to compare with');
  const words = (each: { readonly name: string; readonly aheadMs: number }): string =>
    `${each.name} is ${formatDuration(Math.abs(each.aheadMs))} ${each.aheadMs < 0 ? 'behind' : 'ahead'}`;
  const off = skews.filter(({ aheadMs }) => Math.abs(aheadMs) > skewLimitMs);
  if (off.length > 0) return bad(id, off.map(words).join('; '), off.length === skews.length ? 'set this machine’s clock: is its time service on?' : 'set the clocks of the machines named: is their time service on?');
  const worst = Math.max(...skews.map(({ aheadMs }) => Math.abs(aheadMs)));
  return good(id, `within ${formatDuration(worst)} of ${skews.length} other ${skews.length === 1 ? 'node' : 'nodes'}`);
}

export function agentsCheck(agents: readonly { readonly address: string; readonly available: boolean; readonly why?: string }[]): Check {
  const id = 'agents';
  if (agents.length === 0) return { id, ok: true, detail: 'this machine has none', hint: 'in a project: beckon agent add -- COMMAND' };
  const missing = agents.filter(({ available }) => !available);
  if (missing.length === 0) return good(id, `${agents.length} available`);
  const detail = missing.map(({ address, why }) => `${address} is not available: ${why ?? 'no reason given'}`).join('; ');
  return bad(id, detail, 'see what each needs: beckon agent show ADDRESS');
}

/** @param found `ok`, or the first thing that is wrong */
export function databaseCheck(found: string): Check {
  return found === 'ok' ? good('database', 'sound') : bad('database', `damaged: ${found}`, 'stop the node and restore a backup: README, Restore');
}

/** @param mesh its name, when this node is in one */
export function meshCheck(mesh: string | undefined, removed?: { readonly meshName: string; readonly by: string }): Check {
  if (removed !== undefined) return bad('mesh', `removed from ${removed.meshName} by ${removed.by}: no member speaks to it`, 'forget that mesh, and get a new key: beckon mesh leave, then beckon restart');
  if (mesh !== undefined) return good('mesh', `a member of ${mesh}`);
  return { id: 'mesh', ok: true, detail: 'in no mesh: it runs alone', hint: 'make one: beckon mesh create; or enter one: beckon mesh join TOKEN' };
}
