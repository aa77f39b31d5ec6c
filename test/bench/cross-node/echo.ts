/** An agent that answers what it was asked, served through the SDK at the owner: argv has the node's socket, the agent's name, and its directory. */
import { connect } from '../../../src/client/index.ts';
import { isReady } from '../child.ts';
import { echoConcurrency } from './task.ts';

const [socketPath = '', name = '', cwd = ''] = process.argv.slice(2);
const beckon = await connect({ socketPath });
await beckon.serve(name, (task) => task, { concurrency: echoConcurrency, cwd });
isReady();
