/**
 * What peers do wrong, in the log: a line for each peer and kind of fault, and a minute long no other. Who does it a thousand
 * times fills no disk, and hides nobody else. Bounded in memory. The log itself has limits too (`LineMinute`), for lines of all kinds; they
 * count lines and know no kinds, so here the first of each is always told.
 */
import type { LogFields, LogLevel } from '../domain/log-fields.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';

const againAfterMs = 60_000;
/** Of peers and kinds: beyond, the one that was told longest ago is forgotten. */
const mostKinds = 4_096;

interface Told {
  readonly atMs: number;
  /** Left out since. */
  unsaid: number;
}

export interface Complaint {
  readonly peer: { readonly name: string; readonly nodeId: NodeId };
  /** Of a closed list: what the peer does not choose. */
  readonly kind: string;
  readonly fields?: LogFields;
  readonly message: string;
  /** `warn` when left out. */
  readonly level?: Exclude<LogLevel, 'debug'>;
}

export class Complaints {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #log: Log;
  /** In the order in which they were told. */
  readonly #told = new Map<string, Told>();

  constructor(clock: Pick<Clock, 'monotonic'>, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** The next line of that kind says in `count` how many were left out before it. */
  tell({ peer, kind, fields = {}, message, level = 'warn' }: Complaint): void {
    const key = `${peer.nodeId} ${kind}`;
    const now = this.#clock.monotonic();
    const last = this.#told.get(key);
    if (last !== undefined && now - last.atMs < againAfterMs) {
      last.unsaid += 1;
      return;
    }
    this.#told.delete(key);
    this.#told.set(key, { atMs: now, unsaid: 0 });
    const [oldest] = this.#told.keys();
    if (this.#told.size > mostKinds && oldest !== undefined) this.#told.delete(oldest);
    const left = last === undefined || last.unsaid === 0 ? {} : { count: last.unsaid };
    this.#log[level]({ ...peerFields(peer), ...fields, ...left }, message);
  }
}
