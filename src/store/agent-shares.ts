/** Whom agents of this node are shared with. */
import { notFound } from '../domain/errors.ts';
import { isSameShare, partsOfShare, shareOfParts } from '../domain/sharing.ts';
import type { Share } from '../domain/sharing.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';
import type { Input } from './protocol.ts';

interface ShareRow {
  readonly kind: Share['with'];
  readonly who: string;
}

const ofAgent = 'SELECT s.kind, s.who FROM agent_shares s JOIN agents a ON a.id = s.agent_id WHERE a.address = ? ORDER BY s.kind, s.who';

export function agentShareReads(db: Connection): { readonly shares: (address: string) => Share[] } {
  const all = db.prepare<[string], ShareRow>(ofAgent);
  return { shares: (address) => all.all(address).map(({ kind, who }) => shareOfParts(kind, who)) };
}

export class AgentShareTable {
  readonly #facts: FactTable;
  readonly #audit: AuditTable;
  readonly #reads;
  readonly #agent;
  readonly #insert;
  readonly #delete;

  constructor(db: Connection, facts: FactTable, audit: AuditTable) {
    this.#audit = audit;
    this.#facts = facts;
    this.#reads = agentShareReads(db);
    this.#agent = db.prepare<[string], { id: string }>('SELECT id FROM agents WHERE address = ?');
    this.#insert = db.prepare<[string, string, string, number, string]>(
      'INSERT INTO agent_shares (agent_id, kind, who, shared_at_ms, shared_by) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#delete = db.prepare<[string, string, string]>('DELETE FROM agent_shares WHERE agent_id = ? AND kind = ? AND who = ?');
  }

  /** @returns those that are new. @throws BrokerError `not_found` */
  share({ stamp, act, address, shares, by }: Input<'shareAgent'>): readonly Share[] {
    const agent = this.#idOf(address);
    return shares.filter((share) => {
      const [kind, who] = partsOfShare(share);
      const isNew = this.#insert.run(agent, kind, who, stamp.atMs, by).changes > 0;
      if (!isNew) return false;
      this.#facts.append(stamp, 'agent.shared', { detail: { address, with: kind, who, by } });
      this.#audit.append(stamp, { kind: 'agent.shared', about: { agent: address, with: withOf(share) } }, act);
      return true;
    });
  }

  /** Without `shares` all. @returns those that were. @throws BrokerError `not_found`, also for one that is not among them */
  unshare({ stamp, act, address, shares, by }: Input<'unshareAgent'>): readonly Share[] {
    const agent = this.#idOf(address);
    const known = this.#reads.shares(address);
    for (const share of shares ?? []) if (!known.some((each) => isSameShare(each, share))) throw notFound(`${address} is not shared with ${partsOfShare(share).join(' ')}`);
    const gone = shares ?? known;
    for (const share of gone) {
      const [kind, who] = partsOfShare(share);
      this.#delete.run(agent, kind, who);
      this.#facts.append(stamp, 'agent.unshared', { detail: { address, with: kind, who, by } });
      this.#audit.append(stamp, { kind: 'agent.unshared', about: { agent: address, with: withOf(share) } }, act);
    }
    return gone;
  }

  #idOf(address: string): string {
    const agent = this.#agent.get(address);
    if (agent === undefined) throw notFound(`no agent ${address} on this node`);
    return agent.id;
  }
}

/** `all`, `person:NAME`, `node:ID`, as it would be typed. */
function withOf(share: Share): string {
  const [kind, who] = partsOfShare(share);
  return kind === 'all' ? kind : `${kind}:${who}`;
}
