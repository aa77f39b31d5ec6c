/** Submits through the SDK of a user's program: argv has the node's socket and the agent's address. */
import { connect } from '../../../src/client/index.ts';
import type { Submission } from '../../../src/client/index.ts';
import { answers } from '../child.ts';
import { sampled } from '../load.ts';

const [socketPath = '', address = ''] = process.argv.slice(2);
/** Of a short request to an agent. */
const task = new Uint8Array(200).fill(120);
const beckon = await connect({ socketPath });

answers((load) => sampled(load, async (inFlight, isOver, answered) => {
  function* submissions(): Generator<Submission & { readonly sentMs: number }> {
    while (!isOver()) yield { address, task, sentMs: performance.now() };
  }
  for await (const { submission, error } of beckon.submit(submissions(), { inFlight })) {
    if (error !== undefined) throw error;
    answered(performance.now() - submission.sentMs);
  }
}));
