/** What a node that died left behind: its processes are ended, and what they were at is settled. Before anything new begins. */
import type { BrokerParts } from './broker-parts.ts';
import type { Runner } from './runner.ts';
import { stopGraceMs } from './execution.ts';

export async function recover({ store, chronicler, self, log, orphans, harnesses }: Pick<BrokerParts, 'store' | 'chronicler' | 'self' | 'log' | 'orphans' | 'harnesses'>, runner: Runner): Promise<void> {
  const ended = await orphans.sweep(store.read.processes(), stopGraceMs);
  for (const [flightId, processes] of ended) log.warn({ flightId, processes }, 'the node died and left these running: ended');
  const mayReturn = store.read.endpoints().filter(({ harness }) => harnesses.get(harness)?.adopt !== undefined).map(({ address }) => address);
  const recovered = await store.write.recover({ stamp: chronicler.stamp(), nodeId: self.nodeId, ended, mayReturn });
  for (const flightId of recovered.open) runner.adopt(flightId);
  if (recovered.indeterminate.length > 0) log.warn({ flights: recovered.indeterminate.length }, 'work was running when the node died: indeterminate');
}
