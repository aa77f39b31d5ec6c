/** A real node with one agent whose only run never ends, so that all that is invoked is accepted and waits. */
import type { Cluster } from '../../support/cluster.ts';
import type { TestNode } from '../../support/node-process.ts';
import { Child } from '../child.ts';

const agent = 'hold';

/** Up, in a mesh of its own. */
export async function holdingNode(cluster: Cluster, name: string): Promise<TestNode> {
  const node = await cluster.node(name);
  await cluster.join([node]);
  await node.json(['agent', 'add', agent, '--workspace', 'main', '--concurrency', '1', '--queue', '1000000', '--', 'sleep', '1000000']);
  return node;
}

/** Generates load through the SDK of a user's program. */
export function loadOf(node: TestNode): Promise<Child> {
  return Child.start(new URL('./submitter.ts', import.meta.url), [node.socketPath, agent]);
}
