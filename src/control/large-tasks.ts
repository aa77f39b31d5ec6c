/**
 * Calls that bring a large task are read when there is room for it: a caller that has many on their way waits in its own memory,
 * not in the node's. How much is coming is said in front of it, or else by the first bytes of the message itself.
 */
import { ServerInterceptingCall, ServerListenerBuilder } from '@grpc/grpc-js';
import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import type { Readable } from 'node:stream';
import { BrokerError } from '../domain/errors.ts';
import type { CancelTimer, Clock } from '../domain/ports.ts';
import { ControlServiceService } from '../gen/beckon/v1/control.ts';
import { leastAnnounced, taskBytesKey } from '../rpc/task-bytes.ts';
import { toStatus } from '../rpc/status.ts';
import type { Place, TaskRoom } from '../rpc/task-room.ts';

const bringing: ReadonlySet<string> = new Set([ControlServiceService.invoke.path, ControlServiceService.invokeAll.path]);

/** Of a message, what is not the task: as much as may come unannounced. */
const besideTask = leastAnnounced;

/** How long a message may take that has its place. Over a socket of this machine the largest is there within a second; who stops in the middle keeps others from theirs. */
export const usualArrivalMs = 60_000;

export interface LargeTasksParts {
  readonly room: TaskRoom;
  /** Of a task: more than that is not believed, and refused when it is there. */
  readonly mostBytes: number;
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly arrivalMs?: number;
}

export function largeTasks({ room, mostBytes, clock, arrivalMs = usualArrivalMs }: LargeTasksParts): ServerInterceptor {
  return (method, call) => {
    if (!bringing.has(method.path)) return call as ServerInterceptingCall;
    let place: Place | undefined;
    let cancelTimer: CancelTimer = () => undefined;
    const leave = (): void => {
      cancelTimer();
      place?.release();
    };
    const granted = (): void => {
      cancelTimer();
      cancelTimer = clock.setTimer(arrivalMs, () => {
        // No more of it is read: what its sender still has stays there.
        streamOf(call)?.pause();
        intercepting.sendStatus(toStatus(new BrokerError('deadline', `the task had not arrived ${arrivalMs / 1000} s after there was room for it`)));
      });
    };
    const intercepting = new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, read) => {
              const bytes = Math.min(announced(metadata), mostBytes);
              measure(call, (found, stream) => {
                if (found <= bytes + besideTask) return;
                leave();
                place = room.take(Math.min(found, mostBytes), () => {
                  granted();
                  stream.resume();
                });
                if (place.isGranted) granted();
                else stream.pause();
              });
              if (bytes === 0) return read(metadata);
              place = room.take(bytes, () => {
                granted();
                read(metadata);
              });
              if (place.isGranted) {
                granted();
                read(metadata);
              }
            })
            .withOnReceiveMessage((message, read) => {
              cancelTimer();
              read(message);
            })
            .withOnCancel(leave)
            .build(),
        ),
      // The first word is that it was accepted, and so is on disk.
      sendMessage: (message, next) => {
        leave();
        next(message);
      },
      sendStatus: (status, next) => {
        leave();
        next(status);
      },
    });
    return intercepting;
  };
}

function announced(metadata: Metadata): number {
  const bytes = Number(metadata.get(taskBytesKey)[0] ?? 0);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0;
}

/** In front of a message: whether it is compressed, and its length (the gRPC protocol over HTTP/2, "Length-Prefixed-Message"). */
const prefixBytes = 5;

function streamOf(call: ServerInterceptingCallInterface): Readable | undefined {
  return (call as { readonly stream?: Readable }).stream;
}

/**
 * Tells how large the message of a call is, whatever was announced, before more of it than its first chunk is read. The stream below
 * is what grpc-js keeps private: should that change, what was not announced is read at once.
 */
function measure(call: ServerInterceptingCallInterface, tell: (bytes: number, stream: Readable) => void): void {
  const stream = streamOf(call);
  if (stream === undefined) return;
  const seen: Buffer[] = [];
  const look = (chunk: Buffer): void => {
    seen.push(chunk);
    const first = seen.length === 1 ? chunk : Buffer.concat(seen);
    if (first.length < prefixBytes) return;
    stream.off('data', look);
    tell(first.readUInt32BE(1), stream);
  };
  // Not `on`, which would have it read: that is for the library to say.
  stream.prependListener('data', look);
}
