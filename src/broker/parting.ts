/** What is under way to an owner of whom nothing more will be heard: one of the two has left the mesh, or was removed. */
import type { FailureReason } from '../domain/delivery.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Store } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';

export interface PartingParts {
  readonly store: Store;
  readonly chronicler: Chronicler;
  readonly feed: Feed;
}

const pageSize = 500;

/** What was never sent ends `failed`, the rest `indeterminate`. @param reason of deliveries that were not received @returns how many ended */
export async function endAllTo(
  { store, chronicler, feed }: PartingParts,
  ownerNodeId: NodeId,
  words: { readonly unsent: ErrorInfo; readonly sent: ErrorInfo },
  reason: FailureReason = 'peer_unreachable',
): Promise<number> {
  const { read, write } = store;
  let ended = 0;
  for (;;) {
    const open = [...read.unsent(ownerNodeId, undefined, pageSize), ...read.openAt(ownerNodeId, undefined, pageSize).map((each) => each.invocationId)];
    const before = ended;
    for (const invocationId of new Set(open)) {
      const flight = read.flight(flightOfInvocation(invocationId));
      if (flight === undefined || isTerminal(flight.state)) continue;
      const isReceived = flight.receivedAtMs !== undefined;
      const delivery = isReceived ? undefined : ({ status: 'dead', reason } as const);
      const verdict = { stamp: chronicler.stamp(), flightId: flight.id, delivery };
      const after =
        (await write.endAtOrigin({ ...verdict, outcome: { state: 'failed', error: words.unsent }, unlessSent: true })) ??
        (await write.endAtOrigin({ ...verdict, outcome: { state: 'indeterminate', error: words.sent }, unlessSent: false }));
      if (after === undefined) continue;
      ended += 1;
      feed.changed(after.id);
    }
    if (ended === before) return ended;
  }
}
