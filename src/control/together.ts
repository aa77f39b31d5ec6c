/** Updates that are there at the same moment leave in one message: each costs its sender and its reader much more than what it holds. */
import type { FlightUpdate } from '../broker/api.ts';

/** Of output, roughly, in one message. */
const mostBytes = 256 * 1024;
const most = 256;

/** Never empty. @param isWanted otherwise each is alone */
export async function* together(updates: AsyncIterable<FlightUpdate>, isWanted: boolean): AsyncGenerator<readonly FlightUpdate[], void, undefined> {
  if (!isWanted) {
    for await (const update of updates) yield [update];
    return;
  }
  const source = updates[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (let next = source.next(); !isOver; ) {
      const gathered: FlightUpdate[] = [];
      let bytes = 0;
      do {
        const step = await next;
        isOver = step.done === true;
        if (step.done === true) break;
        gathered.push(step.value);
        bytes += sizeOf(step.value);
        next = source.next();
      } while ((await comesNow(next)) && bytes < mostBytes && gathered.length < most);
      if (gathered.length > 0) yield gathered;
    }
  } finally {
    if (!isOver) await source.return?.();
  }
}

/** Whether it comes without anything from outside: before what else this turn of the event loop has to do. */
function comesNow(step: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    step.then(
      () => resolve(true),
      // It is thrown where it is waited for, after what came before it has left.
      () => resolve(false),
    );
    process.nextTick(() => resolve(false));
  });
}

function sizeOf(update: FlightUpdate): number {
  if (update.type === 'finished') return update.output.length;
  return update.type === 'event' && update.event.body.kind === 'output' ? update.event.body.bytes.length : 0;
}
