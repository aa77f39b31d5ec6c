/** Who may do what here, decided on the owner. The default: only nodes of the same owner identity may invoke. */
import { denied } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';

export interface PolicyCaller {
  /** Owner identity and name from the caller's certificate. */
  readonly owner: string;
  readonly name: string;
}

/** @returns undefined when allowed, else the error that the caller is to see */
export function mayInvoke(caller: PolicyCaller, agent: { readonly owner: string; readonly target: string }): BrokerError | undefined {
  if (caller.owner === agent.owner) return undefined;
  return denied(
    `${caller.owner} (${caller.name}) may not invoke ${agent.target}: it belongs to ${agent.owner}`,
    'its owner can allow it on that node',
  );
}

/** What a node holds of others' work is shown to nodes of the same owner identity. */
export function mayInspect(caller: PolicyCaller, owner: string): BrokerError | undefined {
  return caller.owner === owner ? undefined : denied(`${caller.owner} (${caller.name}) may not inspect the work of ${owner}`);
}

/** Answering what waits is for the person whose node it is. */
export function mayControl(caller: PolicyCaller, owner: string): BrokerError | undefined {
  return caller.owner === owner ? undefined : denied(`${caller.owner} (${caller.name}) may not answer for ${owner}`);
}
