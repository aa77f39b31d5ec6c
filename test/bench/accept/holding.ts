/** Serves one agent that takes one run and never ends it, so that whatever else is invoked waits: `node holding.ts SOCKET NAME`. */
import { connect } from '../../../src/client/index.ts';

const [, , socketPath = '', name = ''] = process.argv;
const beckon = await connect({ socketPath });
const server = await beckon.serve(name, () => new Promise<never>(() => undefined), { concurrency: 1 });
process.stdout.write(`ready ${server.address}\n`);
await server.closed;
