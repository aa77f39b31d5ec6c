/** Who may do what here, decided on the owner: the rules of `domain/policy.ts`, fed with what this node has stored. */
import { parseAddress, shellAddress } from '../domain/address.ts';
import { denied } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { decide, rulesFor } from '../domain/policy.ts';
import type { PolicyCaller, Verdict } from '../domain/policy.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';

interface Decider {
  readonly nodeId: NodeId;
  owner(): string;
}

export interface PolicyParts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Decider;
}

export class Policy {
  readonly #parts: PolicyParts;

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  /** @returns undefined when allowed, else the error that the caller is to see */
  refusalOf(caller: PolicyCaller, target: string): BrokerError | undefined {
    const { store, self } = this.#parts;
    const owner = self.owner();
    const verdict = decide(caller, 'invoke', rulesFor({ owner, shares: store.read.shares(target) }));
    if (verdict.isAllowed) return undefined;
    const address = parseAddress(target);
    return denied(
      `${whoIs(caller)} may not invoke ${target}: it belongs to ${owner}, and ${verdict.rule}`,
      `its owner can allow it: on ${address.node ?? self.nodeId}: beckon agent share ${shellAddress(address)} --with ${shellWord(caller.owner)}`,
    );
  }

  /** The same for work that was taken in and has not started: its caller's rights as they are now. */
  refusalOfQueued(flight: Flight): BrokerError | undefined {
    const { store, self } = this.#parts;
    const { originNodeId: nodeId, originOwner } = flight;
    if (nodeId === self.nodeId) return undefined;
    const member = store.read.member(nodeId);
    // What was taken in before the owner identity was kept with it.
    const owner = originOwner ?? member?.owner ?? '';
    return this.refusalOf({ nodeId, owner, name: member?.name ?? nodeId }, flight.target);
  }
}

/** What a node holds of others' work is shown to nodes of the same owner identity. */
export function mayInspect(caller: PolicyCaller, self: Pick<Decider, 'owner'>): BrokerError | undefined {
  const { isAllowed, rule } = ofNode(caller, 'inspect', self);
  return isAllowed ? undefined : denied(`${whoIs(caller)} may not inspect the work of ${self.owner()}: ${rule}`);
}

/** Answering what waits is for the person whose node it is. */
export function mayControl(caller: PolicyCaller, self: Pick<Decider, 'owner'>): BrokerError | undefined {
  const { isAllowed, rule } = ofNode(caller, 'control', self);
  return isAllowed ? undefined : denied(`${whoIs(caller)} may not answer for ${self.owner()}: ${rule}`);
}

function ofNode(caller: PolicyCaller, verb: 'inspect' | 'control', self: Pick<Decider, 'owner'>): Verdict {
  return decide(caller, verb, rulesFor({ owner: self.owner(), shares: [] }));
}

function whoIs({ owner, name }: PolicyCaller): string {
  return `${owner} (${name})`;
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
