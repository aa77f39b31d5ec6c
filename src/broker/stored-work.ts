/** What is stored of an invocation, read so that the event loop does not wait for the disk: a large task by the store's other thread. */
import type { InvocationId } from '../domain/ids.ts';
import type { Task, Work } from '../domain/invocation.ts';
import type { Store } from '../domain/store-port.ts';

/** Up to here a read takes a fraction of a millisecond, and the other thread more to be asked, bytes. */
const readHere = 256 * 1024;

/** Undefined when it is not stored any more. */
export async function storedTask({ read, inspect }: Pick<Store, 'read' | 'inspect'>, id: InvocationId): Promise<Task | undefined> {
  return read.taskBytes(id) <= readHere ? read.task(id) : inspect.task(id);
}

/** Undefined when it is not stored any more. */
export async function storedWork(store: Pick<Store, 'read' | 'inspect'>, id: InvocationId): Promise<Work | undefined> {
  const task = await storedTask(store, id);
  const invocation = store.read.invocation(id);
  return invocation === undefined || task === undefined ? undefined : { invocation, task };
}
