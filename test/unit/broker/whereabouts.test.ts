import { expect, test } from 'vitest';
import type { AskMembers } from '../../../src/broker/ask-members.ts';
import { whereabouts } from '../../../src/broker/whereabouts.ts';
import { denied, notFound, toBrokerError, unavailable } from '../../../src/domain/errors.ts';
import type { NodeId } from '../../../src/domain/ids.ts';

const argument = 'flt_01M806RKNN4ZKAKAK50P4TNC09';

function asking(answers: Readonly<Record<string, () => Promise<never>>>): Promise<unknown> {
  const members = {
    others: () => Object.keys(answers).map((nodeId) => ({ nodeId })),
    ask: (nodeId: string) => answers[nodeId]?.() ?? Promise.resolve({ found: [] }),
    each: async (nodes: Iterable<NodeId>, work: (nodeId: NodeId) => Promise<boolean>, failed: (nodeId: NodeId, error: unknown) => void) => {
      for (const nodeId of nodes) await work(nodeId).catch((error: unknown) => failed(nodeId, toBrokerError(error)));
    },
  } as unknown as AskMembers;
  const flights = { find: () => { throw notFound('nothing here'); } };
  return whereabouts({ flights, members, nodes: { nameOf: (nodeId: NodeId) => nodeId } as never }, argument);
}

test('a node that does not tell is told from one that does not answer', async () => {
  const no = (): Promise<never> => Promise.reject(denied('bob may not inspect this'));
  const silent = (): Promise<never> => Promise.reject(unavailable('it can’t be reached'));
  await expect(asking({ laptop: no, desktop: no })).rejects.toMatchObject({
    code: 'not_found',
    message: `nothing with the id ${argument} is known here; not known is whether laptop, desktop have it: what they do for others is not told here`,
    hint: 'list what is: beckon flights',
  });
  await expect(asking({ laptop: no, server: silent })).rejects.toMatchObject({
    message: `nothing with the id ${argument} is known here; not known is whether server has it: no answer; nor whether laptop has it: what it does for others is not told here`,
    hint: 'see their states: beckon peers',
  });
});
