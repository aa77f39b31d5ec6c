/** Sessions with agents of this node: whose they are, when they were last used, and what their agents call them. */
import { BrokerError, denied, notFound } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { TurnSession } from '../domain/harness-port.ts';
import { sessionOfInvocation } from '../domain/ids.ts';
import type { SessionId } from '../domain/ids.ts';
import type { Invocation } from '../domain/invocation.ts';
import { sessionKeys } from '../domain/session.ts';
import type { SessionKey } from '../domain/session.ts';
import { quoted } from '../domain/text.ts';
import type { Connection, Statement } from './connection.ts';
import { optional } from './flight-row.ts';

interface IdRow {
  readonly id: SessionId;
}

/** At most two of one owner identity, newest first; and whether anybody has one. */
interface Lookup {
  readonly own: Statement<string[], IdRow>;
  readonly any: Statement<string[], IdRow>;
}

export class AgentSessionTable {
  readonly #insert;
  readonly #use;
  readonly #bind;
  readonly #remove;
  readonly #newest;
  readonly #lookups: Readonly<Record<SessionKey['by'], Lookup>>;

  constructor(db: Connection) {
    this.#insert = db.prepare(`
      INSERT INTO agent_sessions (id, address, owner_identity, created_at_ms, last_used_at_ms, last_used_hlc) VALUES (?, ?, ?, ?, ?, ?)`);
    this.#use = db.prepare('UPDATE agent_sessions SET last_used_at_ms = ?, last_used_hlc = ? WHERE id = ?');
    this.#bind = db.prepare('UPDATE agent_sessions SET agent_session = ? WHERE id = ?');
    this.#remove = db.prepare('DELETE FROM agent_sessions WHERE address = ?');
    this.#newest = db.prepare<[string, string], IdRow>(
      'SELECT id FROM agent_sessions WHERE address = ? AND owner_identity = ? ORDER BY last_used_hlc DESC LIMIT 1',
    );
    const lookup = (where: string): Lookup => ({
      own: db.prepare(`SELECT id FROM agent_sessions WHERE ${where} AND address = ? AND owner_identity = ? ORDER BY last_used_hlc DESC LIMIT 2`),
      any: db.prepare(`SELECT id FROM agent_sessions WHERE ${where} AND address = ? LIMIT 1`),
    });
    this.#lookups = { id: lookup('id = ?'), name: lookup('agent_session = ?'), suffix: lookup("substr(id, -4) = ? AND id LIKE '%' || ?") };
  }

  /**
   * The session that an invocation asks for: from now on the one that its owner identity used last.
   * @throws BrokerError `not_found`, `ambiguous`, or `denied` for one of another owner identity
   */
  take({ id, target, session }: Pick<Invocation, 'id' | 'target' | 'session'>, owner: string, stamp: Stamp): SessionId {
    const keys = session.mode === 'named' ? sessionKeys(session.name) : 'last';
    const isNew = session.mode === 'new';
    const known = isNew ? undefined : keys === 'last' ? this.#newest.get(target, owner)?.id : this.#find(target, keys, owner);
    if (known !== undefined) {
      this.#use.run(stamp.atMs, stamp.hlc, known);
      return known;
    }
    const begun = sessionOfInvocation(id);
    this.#insert.run(begun, target, owner, stamp.atMs, stamp.atMs, stamp.hlc);
    return begun;
  }

  bind(id: SessionId, agentSession: string): void {
    this.#bind.run(agentSession, id);
  }

  agentGone(address: string): void {
    this.#remove.run(address);
  }

  #find(address: string, keys: readonly SessionKey[], owner: string): SessionId {
    let isForeign = false;
    for (const key of keys) {
      const { own, any } = this.#lookups[key.by];
      const values = valuesOf(key);
      const [first, second] = own.all(...values, address, owner);
      if (first !== undefined && second !== undefined && key.by === 'suffix') {
        throw new BrokerError('ambiguous', `several sessions with ${address} end in ${key.suffix}`, { hint: `give more of it: ${first.id} or ${second.id}` });
      }
      if (first !== undefined) return first.id;
      isForeign ||= any.get(...values, address) !== undefined;
    }
    const said = quoted(keys.flatMap(valuesOf)[0] ?? '');
    if (isForeign) throw denied(`the session ${said} with ${address} is another person’s`, 'leave out --session to begin one');
    throw notFound(`no session ${said} with ${address} is known to its node`, 'beckon flight show tells which one a flight had; leave out --session to begin one');
  }
}

function valuesOf(key: SessionKey): string[] {
  switch (key.by) {
    case 'id':
      return [key.id];
    case 'name':
      return [key.name];
    case 'suffix':
      return [key.suffix.slice(-4), key.suffix];
  }
}

export function agentSessionReads(db: Connection) {
  const get = db.prepare<[SessionId], { agent_session: string | null }>('SELECT agent_session FROM agent_sessions WHERE id = ?');
  return {
    session(id: SessionId): TurnSession | undefined {
      const row = get.get(id);
      return row === undefined ? undefined : { id, ...optional('agentSession', row.agent_session) };
    },
  };
}
