/**
 * This store was put back to an older state: what it shows as open may have run since, and that nobody here can know.
 * After it nothing of that is started by itself, unless the caller allowed a second run.
 */
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import type { FlightId, InvocationId } from '../domain/ids.ts';
import type { StoreMark } from '../domain/store-port.ts';
import type { Flight } from '../domain/records.ts';
import { afterRollback, mayHaveRun } from '../domain/reconciliation.ts';
import type { Connection } from './connection.ts';
import { report } from './flight-report.ts';
import { flightOf } from './flight-row.ts';
import type { Boot } from './nodes.ts';
import type { OriginWrites } from './origin-writes.ts';
import type { Input, Wire } from './protocol.ts';
import type { Tables } from './tables.ts';

/** Set in a backup, so that a store that begins as one knows it. */
export const copiedKey = 'copied';

export class RollbackWrites {
  readonly #tables: Tables;
  readonly #origin: OriginWrites;
  readonly #statements;

  constructor(db: Connection, tables: Tables, origin: OriginWrites) {
    this.#tables = tables;
    this.#origin = origin;
    this.#statements = {
      get: db.prepare<[string], { value: string }>('SELECT value FROM settings WHERE key = ?'),
      set: db.prepare<[string, string]>('INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'),
      remove: db.prepare<[string]>('DELETE FROM settings WHERE key = ?'),
      firstFact: db.prepare<[InvocationId], { number: number | null }>('SELECT min(number) AS number FROM events WHERE invocation_id = ?'),
      unsent: db.prepare<[], { invocation_id: InvocationId }>(
        "SELECT invocation_id FROM flights WHERE state = 'queued' AND owned = 0 AND sent_at_ms IS NULL ORDER BY invocation_id",
      ),
    };
  }

  boot(input: Input<'boot'>): Wire<'boot'> {
    const { set, remove } = this.#statements;
    const booted = this.#tables.boots.boot(input);
    const { epoch, previousEpoch, startedFact } = booted;
    const evidence = this.#evidence(booted, input.newest);
    // What has a fact before this one was here before this boot.
    set.run('boot_fact', String(startedFact));
    set.run('boot_epoch', String(epoch));
    remove.run(copiedKey);
    if (evidence !== undefined) this.#mark({ stamp: input.stamp, evidence }, true);
    if (input.audit !== undefined || evidence !== undefined) this.#tables.audit.begun(input.stamp, input.audit, evidence);
    return { epoch, previousEpoch, rolledBack: evidence !== undefined };
  }

  #evidence({ previousEpoch, previousFact }: Boot, newest: StoreMark | undefined): string | undefined {
    if (this.#statements.get.get(copiedKey) !== undefined) return 'it was written by a backup';
    if (newest === undefined || newest.epoch < previousEpoch) return undefined;
    if (newest.epoch > previousEpoch) return `it is of epoch ${previousEpoch}, and was at ${newest.epoch}`;
    return newest.fact > previousFact ? `its newest fact is ${previousFact}, and it had ${newest.fact}` : undefined;
  }

  /** Known in this boot. */
  get isPutBack(): boolean {
    const { get } = this.#statements;
    const marked = get.get('rolled_back_epoch')?.value;
    return marked !== undefined && marked === get.get('boot_epoch')?.value;
  }

  /** Told once a boot; again it does nothing. */
  rolledBack(input: Input<'rolledBack'>): Wire<'rolledBack'> {
    if (this.isPutBack) return { fresh: false, ended: [], quarantined: 0 };
    this.#tables.audit.putBack(input.stamp, { evidence: input.evidence }, input.act);
    return this.#mark(input, false);
  }

  settleQuarantined({ stamp, flightId, origin }: Input<'settleQuarantined'>): Flight | undefined {
    const { flights, facts, nodes } = this.#tables;
    const row = flights.get(invocationOfFlight(flightId));
    if (row === undefined || row.quarantined_at_ms === null || isTerminal(row.state)) return undefined;
    const mayRerun = row.rerunnable === 1 && row.cancel_requested_at_ms === null;
    if (afterRollback({ state: row.state, lastSeq: row.last_seq, mayRerun }, origin) === 'indeterminate') {
      return report(this.#tables, row, stamp, { kind: 'finished', state: 'indeterminate', error: mayHaveRun }).flight;
    }
    row.quarantined_at_ms = null;
    flights.save(row, row.state);
    facts.append(stamp, 'flight.released', { invocation: row.invocation_id, peer: row.peer, detail: { why: 'its caller allowed a second run' } });
    return flightOf(row, nodes);
  }

  #mark({ stamp, evidence, peerNodeId }: Input<'rolledBack'>, isBoot: boolean): Wire<'rolledBack'> {
    const { get, set, unsent } = this.#statements;
    const { flights, facts, nodes, self } = this.#tables;
    const epoch = get.get('boot_epoch')?.value ?? '';
    set.run('rolled_back_epoch', epoch);
    facts.append(stamp, 'node.rolled_back', { ...(peerNodeId === undefined ? {} : { peer: nodes.of(peerNodeId) }), detail: { evidence, epoch } });
    const ended: FlightId[] = [];
    let quarantined = 0;
    // What runs now was started in this boot; what ran when the node died is ended by its recovery.
    const states = isBoot ? (['queued', 'waking', 'running', 'waiting'] as const) : (['queued'] as const);
    for (const id of states.flatMap((state) => flights.ownedIn(state, self))) {
      const row = this.#wasHere(id) ? flights.get(id) : undefined;
      if (row === undefined || row.quarantined_at_ms !== null) continue;
      if (row.peer !== null) {
        row.quarantined_at_ms = stamp.atMs;
        flights.save(row, row.state);
        facts.append(stamp, 'flight.quarantined', { invocation: id, peer: row.peer });
        quarantined += 1;
      } else if (row.state === 'queued' && row.rerunnable === 0) {
        report(this.#tables, row, stamp, { kind: 'finished', state: 'indeterminate', error: mayHaveRun });
        ended.push(flightOfInvocation(id));
      }
    }
    for (const { invocation_id: id } of unsent.all()) {
      if (!this.#wasHere(id)) continue;
      const flightId = flightOfInvocation(id);
      const outcome = { state: 'indeterminate', error: mayHaveRun } as const;
      this.#origin.endAtOrigin({ stamp, flightId, outcome, delivery: { status: 'dead', reason: 'cancelled' }, unlessSent: true });
      ended.push(flightId);
    }
    return { fresh: true, ended, quarantined };
  }

  #wasHere(id: InvocationId): boolean {
    const boot = Number(this.#statements.get.get('boot_fact')?.value ?? 0);
    return (this.#statements.firstFact.get(id)?.number ?? 0) < boot;
  }
}
