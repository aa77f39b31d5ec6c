/** The caller at the origin, through the SDK: argv has the node's socket and the agent's address. */
import { connect } from '../../../src/client/index.ts';
import { measures } from '../child.ts';
import { task } from './task.ts';

const [socketPath = '', address = ''] = process.argv.slice(2);
const beckon = await connect({ socketPath });
measures(async () => {
  const { state, text, error } = await beckon.invoke(address, task).result();
  if (state !== 'completed' || text !== task) throw new Error(`a call ended ${state} with ${text.length} characters: ${error?.message ?? 'no error'}`);
});
