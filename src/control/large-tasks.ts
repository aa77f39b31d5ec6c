/**
 * Calls that bring a large task are read when there is room for it: a caller that has many on their way waits in its own memory,
 * not in the node's. How much is coming is said in front of it; what says nothing is taken for small.
 */
import { ServerInterceptingCall, ServerListenerBuilder } from '@grpc/grpc-js';
import type { Metadata, ServerInterceptor } from '@grpc/grpc-js';
import { ControlServiceService } from '../gen/beckon/v1/control.ts';
import { taskBytesKey } from '../rpc/task-bytes.ts';
import type { Place, TaskRoom } from '../rpc/task-room.ts';

const bringing: ReadonlySet<string> = new Set([ControlServiceService.invoke.path, ControlServiceService.invokeAll.path]);

/** @param mostBytes of a task: more than that is not believed, and refused when it is there */
export function largeTasks(room: TaskRoom, mostBytes: number): ServerInterceptor {
  return (method, call) => {
    if (!bringing.has(method.path)) return call as ServerInterceptingCall;
    let place: Place | undefined;
    const leave = (): void => place?.release();
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, read) => {
              const bytes = Math.min(announced(metadata), mostBytes);
              if (bytes === 0) return read(metadata);
              place = room.take(bytes, () => read(metadata));
              if (place.isGranted) read(metadata);
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
  };
}

function announced(metadata: Metadata): number {
  const bytes = Number(metadata.get(taskBytesKey)[0] ?? 0);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0;
}
