/** What sessions mean to the agents of this node, and of others as far as their harness is known here. */
import type { BrokerError } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import type { SessionChoice } from '../domain/invocation.ts';
import { flawWithoutSessions } from '../domain/session.ts';
import type { StoreReads } from '../domain/store-port.ts';

export class Sessions {
  readonly #read: Pick<StoreReads, 'endpoint'>;
  readonly #harnesses: ReadonlyMap<string, Harness>;

  constructor(read: Pick<StoreReads, 'endpoint'>, harnesses: ReadonlyMap<string, Harness>) {
    this.#read = read;
    this.#harnesses = harnesses;
  }

  /** Why this can't be asked of an agent behind that harness. A harness that this version does not know may keep sessions. */
  flawOf(choice: SessionChoice, harness: string): BrokerError | undefined {
    return this.#harnesses.get(harness)?.keepsSessions === false ? flawWithoutSessions(choice, harness) : undefined;
  }

  /** For the write that takes an invocation in: `owner` when the agent, which is one of this node, keeps sessions. */
  of(address: string, owner: string): { readonly sessionOwner?: string } {
    const endpoint = this.#read.endpoint(address);
    const keepsSessions = endpoint !== undefined && this.#harnesses.get(endpoint.harness)?.keepsSessions === true;
    return keepsSessions ? { sessionOwner: owner } : {};
  }
}
