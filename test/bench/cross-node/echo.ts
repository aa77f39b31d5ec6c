/** An agent that answers what it was asked, served through the SDK at the owner: argv has the node's socket and the agent's name. */
import { connect } from '../../../src/client/index.ts';
import { isReady } from '../child.ts';
import { echoConcurrency } from './task.ts';

const [socketPath = '', name = ''] = process.argv.slice(2);
const beckon = await connect({ socketPath });
await beckon.serve(name, (task) => task, { concurrency: echoConcurrency });
isReady();
