/** Durable records as the store gives them back. Times are wall-clock ms. */
import type { DeliveryState, FailureReason } from './delivery.ts';
import type { ErrorInfo } from './errors.ts';
import type { FlightState, WaitingReason } from './flight.ts';
import type { AttemptId, DeliveryId, FlightId, GroupId, InvocationId, NodeId, SessionId } from './ids.ts';
import type { Limits } from './invocation.ts';

export interface Flight {
  readonly id: FlightId;
  readonly invocationId: InvocationId;
  readonly target: string;
  readonly originNodeId: NodeId;
  readonly ownerNodeId: NodeId;
  readonly caller: string;
  /** Of work that came from another node, at its owner: the owner identity in the certificate of the link that it came by. */
  readonly originOwner?: string;
  /** Accepted together with others. Known at the origin only. */
  readonly groupId?: GroupId;
  /** That it is a turn of, for an agent that keeps sessions. At an origin that is not the owner: known once it has started. */
  readonly sessionId?: SessionId;
  readonly state: FlightState;
  /** 0 until the first start. */
  readonly run: number;
  /** Of the last event stored here. */
  readonly lastSeq: number;
  readonly rerunnable: boolean;
  readonly limits: Limits;
  /** This node's clock: when the queue deadline and the total deadline end. */
  readonly holdUntilMs: number;
  readonly totalUntilMs: number;
  readonly acceptedAtMs: number;
  readonly receivedAtMs?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly cancelRequestedAtMs?: number;
  /** Whose word the terminal state is. */
  readonly verdictBy?: 'owner' | 'origin';
  readonly exitCode?: number;
  readonly signal?: string;
  readonly error?: ErrorInfo;
  readonly ended?: number;
  readonly waiting?: { readonly reason: WaitingReason; readonly request: string; readonly prompt: string; readonly choices: readonly string[]; readonly sinceMs: number; readonly untilMs?: number };
  /** Bytes of stdout stored here. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** When task and output were removed here; `stdoutBytes` and `stderrBytes` still say how much it was. */
  readonly prunedAtMs?: number;
  /** Since when it waits for its origin's word and is not started: this store was put back to an older state. */
  readonly quarantinedAtMs?: number;
}

export interface Delivery {
  readonly id: DeliveryId;
  readonly invocationId: InvocationId;
  readonly fromNodeId: NodeId;
  readonly toNodeId: NodeId;
  readonly target: string;
  readonly status: DeliveryState;
  readonly attempts: number;
  readonly failureReason?: FailureReason;
  readonly failureDetail?: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The owner's clock. */
  readonly receivedAtMs?: number;
}

export interface DeliveryAttempt {
  readonly id: AttemptId;
  readonly deliveryId: DeliveryId;
  readonly number: number;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly outcome?: 'received' | 'rejected' | 'lost';
  readonly why?: string;
}

/** A page of a list: `next` is absent on the last. Cursors are opaque to callers. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}

export interface PageRequest {
  /** 1 to 1000 */
  readonly limit: number;
  readonly after?: string;
}
