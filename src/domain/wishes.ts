/** What the person of a node wants of it. Asked each time: it may change while the node runs. */
export interface Wishes {
  /** To be told of every flight, not only of those that were invoked so. */
  readonly notifyAll: boolean;
  /** How long a request of an agent waits unless the agent says otherwise; undefined: as long as it usually does. */
  readonly requestMs: number | undefined;
  /** How many invocations may wait here for one other node; undefined: as many as is usual. */
  readonly heldLimit: number | undefined;
}
