/**
 * What is read with each invocation and changes once in a while: kept until a write that could change it is answered. A
 * read by the connection costs dozens of times as much while another thread commits, since each commit empties its cache.
 */
import type { Endpoint } from '../domain/invocation.ts';
import type { StoreReads } from '../domain/store-port.ts';
import type { WriteName } from './protocol.ts';

/** All that comes with work, and changes nothing of agents, members or the mesh. Any other write makes everything be read anew. */
const ofWork: ReadonlySet<WriteName> = new Set<WriteName>([
  'settleQuarantined', 'prune', 'note', 'accept', 'acceptAll', 'receive', 'beginAttempt', 'loseAttempts', 'defer', 'receipt', 'reject', 'endAtOrigin', 'applyEvents', 'requestCancel', 'start', 'notified',
  'recordProcess', 'forgetProcesses', 'bindSession', 'ask', 'giveReply', 'receiveReply', 'settleReply', 'timeOutRequest', 'appendOutput', 'finish', 'settleWorktree', 'receiveCancel', 'acknowledged', 'recover', 'giveUp',
]);

export function leavesRemembered(name: WriteName): boolean {
  return ofWork.has(name);
}

export interface Remembered {
  readonly read: StoreReads;
  /** A write that may have changed it is durable. */
  readonly forget: () => void;
}

export function remembered(read: StoreReads): Remembered {
  const endpoints = new Map<string, Endpoint>();
  const once = new Map<string, unknown>();
  const kept = <Key extends 'membership' | 'removedFrom' | 'mesh'>(key: Key): (() => ReturnType<StoreReads[Key]>) => () => {
    if (!once.has(key)) once.set(key, read[key]());
    return once.get(key) as ReturnType<StoreReads[Key]>;
  };
  return {
    read: {
      ...read,
      membership: kept('membership'),
      removedFrom: kept('removedFrom'),
      mesh: kept('mesh'),
      endpoint: (address) => {
        const known = endpoints.get(address) ?? read.endpoint(address);
        // Of an agent that is not there nothing is kept: anybody can ask for any.
        if (known !== undefined) endpoints.set(address, known);
        return known;
      },
    },
    forget: () => {
      endpoints.clear();
      once.clear();
    },
  };
}
